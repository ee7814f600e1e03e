"""The variables that installers get: an allow-list, so that neither the caller's secrets nor this
machine's own pip and uv settings reach them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["child_environment"]

_PASSED = (
    "PATH",
    "LANG",
    "LC_ALL",
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "COMSPEC",
    "PATHEXT",
    "NUMBER_OF_PROCESSORS",
    "PROCESSOR_ARCHITECTURE",
    # Compilers, for source distributions.
    "CC",
    "CXX",
    "CFLAGS",
    "LDFLAGS",
    "SDKROOT",
    # Where certificates are re-signed by a proxy.
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
)


def child_environment(
    scratch: Path, own: Mapping[str, str], caller: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the variables for an installer: allowed ones of `caller`, then `own`.

    Home and temporary folder are `scratch`, which must exist.
    """
    caller = os.environ if caller is None else caller
    home = str(scratch)
    return {
        **{name: caller[name] for name in _PASSED if name in caller},
        "HOME": home,
        "USERPROFILE": home,
        "TMPDIR": home,
        "TEMP": home,
        "TMP": home,
        "PYTHONNOUSERSITE": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "NO_COLOR": "1",
        **own,
    }
