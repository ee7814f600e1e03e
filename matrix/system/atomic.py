"""A finished file or folder gets its name, in one step."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

__all__ = ["put_in_place", "write_whole"]

_SECONDS = 5.0
_POLL_SECONDS = 0.05


def put_in_place(part: Path, final: Path) -> None:
    """Rename `part`, over a file that may be there; raise OSError.

    Windows refuses that while anybody has one of both open, without saying so when opening it:
    another thread that reads, or a scanner of new files. It is tried again for some seconds there.
    """
    until = time.monotonic() + _SECONDS
    while True:
        try:
            part.replace(final)
        except PermissionError:  # noqa: PERF203 - it is tried again
            refused = sys.platform != "win32" or final.is_dir() or time.monotonic() > until
            if refused:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, and its folder where there is none, whole or not at all; raise OSError.

    It is written under another name first, so that no half of it is read.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.parent / f"{path.name}.{os.getpid()}.part"
    try:
        part.write_bytes(content)
        put_in_place(part, path)
    finally:
        part.unlink(missing_ok=True)
