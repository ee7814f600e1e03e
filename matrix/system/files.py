"""Files: bounded reads, whole writes, renames that Windows may refuse, a full disk, and TOML.

The TOML files of `matrix/data` are read once; any other is read and written.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matrix.system.paths import data_dir

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TOMLDecodeError = tomllib.TOMLDecodeError
_RETRY_SECONDS = 5.0
_POLL_SECONDS = 0.05
_DISK_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


def read_regular(path: Path, max_bytes: int, *, follow_link: bool = True) -> bytes:
    """Return the content of a regular file; raise OSError for any other, and for a larger one.

    Never waits, as reading a FIFO or a terminal does: where those are refused, none is opened. A
    link is one only with `follow_link`.
    """
    _check_regular(path.stat() if follow_link else path.lstat())
    # Between the two calls the file may be replaced by a FIFO, or by a link.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    flags |= 0 if follow_link else getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        _check_regular(os.fstat(file.fileno()))
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {max_bytes:,} bytes")
    return content


def _check_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")


def write_atomic(path: Path, content: str | bytes, *, durable: bool = False) -> None:
    """Write a file, and its folder where it is missing, completely or not at all; raise OSError.

    Text is written as UTF-8 with its line ends unchanged. The content goes to a temporary file of
    a unique name beside `path`, which is then renamed: readers never see an incomplete file, and
    the last of several concurrent writers wins. A `durable` file is on the disk when this returns,
    with the names of its folder and of the one above.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.parent / f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part"
    try:
        with part.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        put_in_place(part, path)
        if durable:
            sync_folder(path.parent)
            sync_folder(path.parent.parent)
    finally:
        part.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk, where the system can; raise OSError."""
    if sys.platform == "win32":
        return  # it opens no folders
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


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


def remove_tree(top: Path) -> None:
    """Remove a folder of untrusted content, however deep it is and whatever its modes; no links.

    What cannot be removed is left.
    """
    if sys.platform == "win32":
        shutil.rmtree(top, ignore_errors=True)  # which knows junctions
        return
    with contextlib.suppress(OSError):
        folders = [top]
        while folders:
            folder = folders[-1]
            folder.chmod(stat.S_IRWXU)
            found = len(folders)
            for path in folder.iterdir():
                if path.is_symlink() or not path.is_dir():
                    path.unlink()
                elif folder == top:
                    folders.append(path)
                else:  # paths of deep folders are too long for the system
                    path.chmod(stat.S_IRWXU)
                    folders.append(path.rename(top / secrets.token_hex(8)))
            if len(folders) == found:
                folders.pop().rmdir()


def is_disk_full(error: OSError) -> bool:
    """Return whether an error means a full disk or an exhausted disk quota."""
    return error.errno in _DISK_FULL


@functools.cache
def read_data(name: str) -> dict[str, Any]:
    """Return the content of `matrix/data/<name>.toml`; callers must not change it."""
    return read_toml(data_dir() / f"{name}.toml")


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file; raise OSError or ValueError (as TOMLDecodeError is)."""
    return parse_toml(path.read_bytes().decode("utf-8"))


def parse_toml(text: str) -> dict[str, Any]:
    """Return the content of a TOML document; raise TOMLDecodeError."""
    data: dict[str, Any] = tomllib.loads(text)
    return data


def write_toml(path: Path, data: Mapping[str, Any]) -> None:
    """Replace the content of a TOML file atomically, but keep its comment lines, at the top."""
    import tomli_w  # noqa: PLC0415 - only for maintenance commands

    lines = path.read_text(encoding="utf-8").splitlines()
    comment = "".join(f"{line}\n" for line in lines if line.startswith("#"))
    write_atomic(path, comment + tomli_w.dumps(data))
