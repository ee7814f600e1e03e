"""Atomic file writes, renames that Windows may refuse for a moment, and errors of a full disk."""

from __future__ import annotations

import errno
import os
import secrets
import sys
import time
from pathlib import Path

_RETRY_SECONDS = 5.0
_POLL_SECONDS = 0.05
_DISK_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file, and its folder where it is missing, completely or not at all; raise OSError.

    Text is written as UTF-8 with its line ends unchanged. The content goes to a temporary file of
    a unique name beside `path`, which is then renamed: readers never see an incomplete file, and
    the last of several concurrent writers wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.parent / f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part"
    try:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
        put_in_place(part, path)
    finally:
        part.unlink(missing_ok=True)


def put_in_place(part: Path, final: Path) -> None:
    """Rename a file or folder, replacing a file of that name; raise OSError.

    Windows refuses this while another thread or a virus scanner has one of both open, so there it
    is tried again for some seconds.
    """
    until = time.monotonic() + _RETRY_SECONDS
    while True:
        try:
            part.replace(final)
        except PermissionError:  # noqa: PERF203 - it is tried again
            if sys.platform != "win32" or final.is_dir() or time.monotonic() > until:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return


def is_disk_full(error: OSError) -> bool:
    """Return whether an error means a full disk or an exhausted disk quota."""
    return error.errno in _DISK_FULL
