"""The variables that reach a cell: an allow-list. Nothing of the caller's environment gets in."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["bare_environment", "process_environment"]

# Windows starts nothing without these; they hold no secrets.
_WINDOWS = ("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT")


def bare_environment(scratch: Path) -> dict[str, str]:
    """Return the least that a CPython needs; all that it writes goes below `scratch`.

    Byte code is cached where the environment is: compiling ddtrace at each start takes seconds.
    """
    variables = {
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "PATH": os.defpath if sys.platform == "win32" else "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    if sys.platform == "win32":
        variables |= {"TEMP": str(scratch), "TMP": str(scratch), "USERPROFILE": str(scratch)}
        variables |= {name: os.environ[name] for name in _WINDOWS if name in os.environ}
    return variables


def process_environment(
    scratch: Path, *, setting: Mapping[str, str], agent_url: str, agent_port: int, upstream_url: str
) -> dict[str, str]:
    """Return the variables of an app process under a rendered setting."""
    return {
        **bare_environment(scratch),
        "BOOKSHOP_DATABASE": str(scratch / "bookshop.sqlite3"),
        "BOOKSHOP_CATALOGUE_URL": upstream_url,
        # Releases before 1.0 want host and port; a URL has the last word in all that know it.
        "DD_AGENT_HOST": "127.0.0.1",
        "DD_TRACE_AGENT_PORT": str(agent_port),
        "DD_TRACE_AGENT_URL": agent_url,
        **setting,
    }
