"""The environment variables of a cell: an allow-list, so that none of the caller's gets in."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path, PurePath, PurePosixPath

# Windows starts no process and opens no socket without these, and tells its CPU only by them
# (platform.machine() before 3.13); they hold no secrets.
_WINDOWS = (
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "WINDIR",
    "COMSPEC",
    "PATHEXT",
    "OS",
    "NUMBER_OF_PROCESSORS",
    "PROCESSOR_ARCHITECTURE",
    "PROCESSOR_ARCHITEW6432",
)
_HOMES = ("USERPROFILE", "APPDATA", "LOCALAPPDATA", "TEMP", "TMP")


def interpreter_environment(scratch: PurePath) -> dict[str, str]:
    """Return the variables that a CPython needs; everything that it writes goes below `scratch`.

    Byte code is cached where the environment is: compiling ddtrace at each start takes seconds.
    """
    # A container always runs Linux, also with an engine of another system.
    in_container = isinstance(scratch, PurePosixPath) and not isinstance(scratch, Path)
    variables = {
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    if in_container or sys.platform == "linux":
        return variables
    if sys.platform == "win32":
        variables |= dict.fromkeys(_HOMES, str(scratch))
        variables |= {name: os.environ[name] for name in _WINDOWS if name in os.environ}
        root = os.environ.get("SYSTEMROOT", r"C:\Windows")
        variables["PATH"] = rf"{root}\System32;{root}"
    else:
        # Not every macOS has C.UTF-8.
        variables |= {"LANG": "en_US.UTF-8", "LC_ALL": "en_US.UTF-8"}
    return variables


def process_environment(
    scratch: PurePath, *, setting: Mapping[str, str], agent_port: int | None, upstream_port: int
) -> dict[str, str]:
    """Return the variables of an app process under a rendered setting; ports are those inside.

    Without `agent_port` there are none of a tracer.
    """
    variables = {
        **interpreter_environment(scratch),
        "BOOKSHOP_DATABASE": str(scratch / "bookshop.sqlite3"),
        "BOOKSHOP_CATALOGUE_URL": f"http://127.0.0.1:{upstream_port}",
    }
    if agent_port is not None:
        # Releases before 1.0 need host and port; all that support a URL prefer it.
        variables["DD_AGENT_HOST"] = "127.0.0.1"
        variables["DD_TRACE_AGENT_PORT"] = str(agent_port)
        variables["DD_TRACE_AGENT_URL"] = f"http://127.0.0.1:{agent_port}"
    return {**variables, **setting}
