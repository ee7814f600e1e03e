"""Proxies of the caller, which are for other machines: this one is asked directly.

Tools read `no_proxy` in lower case, in upper case, or in both:
https://about.gitlab.com/blog/we-need-to-talk-no-proxy/
"""

from __future__ import annotations

import os
from collections.abc import Mapping

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def proxy_exceptions(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by which this machine itself is asked without a proxy.

    They add to those that are set. Empty where no proxy is set.
    """
    if not any(environ.get(name) for proxy in _PROXIES for name in (proxy, proxy.upper())):
        return {}
    listed = [environ.get("no_proxy", ""), environ.get("NO_PROXY", "")]
    names = [name for text in listed for item in text.split(",") if (name := item.strip())]
    return dict.fromkeys(("no_proxy", "NO_PROXY"), ",".join(dict.fromkeys([*names, *_LOOPBACK])))


def ask_loopback_directly() -> None:
    """Keep this process and its children from asking this machine itself through a proxy."""
    os.environ.update(proxy_exceptions(os.environ))
