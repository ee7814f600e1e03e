"""The variables that reach a cell: an allow-list. Nothing of the caller's environment gets in."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import PurePath, PurePosixPath

__all__ = ["bare_environment", "process_environment"]

# Windows starts nothing without these; they hold no secrets.
_WINDOWS = ("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT")


def bare_environment(scratch: PurePath) -> dict[str, str]:
    """Return the least that a CPython needs; all that it writes goes below `scratch`.

    Byte code is cached where the environment is: compiling ddtrace at each start takes seconds.
    """
    # A container is never of Windows, wherever the engine is asked from.
    windows = sys.platform == "win32" and not isinstance(scratch, PurePosixPath)
    variables = {
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "PATH": os.defpath if windows else "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    if windows:
        variables |= {"TEMP": str(scratch), "TMP": str(scratch), "USERPROFILE": str(scratch)}
        variables |= {name: os.environ[name] for name in _WINDOWS if name in os.environ}
    return variables


def process_environment(
    scratch: PurePath, *, setting: Mapping[str, str], agent_port: int, upstream_port: int
) -> dict[str, str]:
    """Return the variables of an app process under a rendered setting; ports are those inside."""
    return {
        **bare_environment(scratch),
        "BOOKSHOP_DATABASE": str(scratch / "bookshop.sqlite3"),
        "BOOKSHOP_CATALOGUE_URL": f"http://127.0.0.1:{upstream_port}",
        # Releases before 1.0 want host and port; a URL has the last word in all that know it.
        "DD_AGENT_HOST": "127.0.0.1",
        "DD_TRACE_AGENT_PORT": str(agent_port),
        "DD_TRACE_AGENT_URL": f"http://127.0.0.1:{agent_port}",
        **setting,
    }
