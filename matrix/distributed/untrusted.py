"""Files that came from elsewhere: read within limits, and only where they really lie."""

from __future__ import annotations

import json
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = [
    "RefusedError",
    "folders_in",
    "is_folder",
    "is_there",
    "json_of",
    "one_line",
    "read_file",
    "shown",
    "unpacked",
]

# A file in the place of a folder may be a link, or a pipe that nobody ever writes to.
_FLAGS = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY", "O_CLOEXEC")
)
_GZIP = 16 + zlib.MAX_WBITS
_LONGEST = 2_000


class RefusedError(Exception):
    """Something that is not taken in; the message says why, in a clause."""


def is_folder(path: Path, *, linked: bool = False) -> bool:
    """Return whether there is a folder that can be reached; a link to one only where `linked`."""
    try:
        return stat.S_ISDIR((path.stat() if linked else path.lstat()).st_mode)
    except (OSError, ValueError):
        return False  # too long for a name, or in a folder that is another's


def is_there(path: Path) -> bool:
    """Return whether there is anything of that name, also a link that leads nowhere."""
    try:
        path.lstat()
    except (OSError, ValueError):
        return False
    return True


def folders_in(path: Path) -> Iterator[Path]:
    """Yield the folders in a folder, by name; links to some are none."""
    try:
        inside = sorted(path.iterdir())
    except OSError:
        return
    yield from filter(is_folder, inside)


def shown(path: Path) -> str:
    """Return a path to be printed: what a name may hold must not look like a line of ours."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(path))


def one_line(text: str) -> str:
    """Return a text to be printed likewise, cut where it is longer than anybody reads."""
    words = " ".join(text[:_LONGEST].split())
    return "".join(letter if letter.isprintable() else "?" for letter in words)


def read_file(path: Path, most: int) -> bytes:
    """Return the content of a file of at most so many bytes; raise `RefusedError`."""
    try:
        if path.is_symlink():
            raise RefusedError("is a link")
        handle = os.open(path, _FLAGS)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise RefusedError("is no file")
            with os.fdopen(handle, "rb", closefd=False) as file:
                content = file.read(most + 1)
        finally:
            os.close(handle)
    except FileNotFoundError:
        raise RefusedError("is missing") from None
    except (OSError, ValueError) as error:
        raise RefusedError(f"cannot be read ({error})") from error
    if len(content) > most:
        raise RefusedError(f"has more than {most} bytes")
    return content


def unpacked(content: bytes, most: int) -> bytes:
    """Return what is in a gzip file, at most so many bytes; raise `RefusedError`."""
    unpacking = zlib.decompressobj(wbits=_GZIP)
    try:
        plain = unpacking.decompress(content, most + 1)
    except zlib.error as error:
        raise RefusedError(f"cannot be unpacked ({error})") from error
    if len(plain) > most:
        raise RefusedError(f"unpacks to more than {most} bytes")
    if not unpacking.eof or unpacking.unused_data:
        raise RefusedError("cannot be unpacked (it does not end where it should)")
    return plain


def json_of(content: bytes) -> Any:  # noqa: ANN401 - that is what JSON is
    """Return what JSON says; raise `RefusedError`."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"is no JSON ({error})") from error
