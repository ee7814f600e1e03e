"""Processes that are found by a mark in their environment, wherever they went."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["kill_marked", "read_listing"]

# `-E` shows the environment of this user's processes: man 1 ps of macOS.
_PS = ("/bin/ps", "-A", "-E", "-ww", "-o", "pid=,command=")
_PS_SECONDS = 10.0
_LINE = re.compile(r"\s*(?P<pid>\d+)\s(?P<words>.*)")


def kill_marked(variable: str) -> bool:
    """Kill the processes that have `variable` (`NAME=value`) in their environment; return whether
    there were some.

    On Windows there are none: what was started there cannot leave its job.
    """
    found = False
    if sys.platform != "win32":
        for pid in _marked(variable):
            found = True
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
    return found


def read_listing(text: str, variable: str) -> Iterator[int]:
    """Yield the processes of what `ps` says that have the variable."""
    for line in text.splitlines():
        if (match := _LINE.fullmatch(line)) and variable in match["words"].split():
            yield int(match["pid"])


def _marked(variable: str) -> list[int]:
    if sys.platform == "darwin":
        # System's own programs hide their environment there, and are missed.
        try:
            said = subprocess.run(
                _PS, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PS_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return []
        return list(read_listing(said.stdout.decode("utf-8", "replace"), variable))
    wanted = variable.encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found
