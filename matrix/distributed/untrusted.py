"""Read files that came from other machines: within size limits, and without following links."""

from __future__ import annotations

import hashlib
import json
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matrix.system.files import read_regular
from matrix.system.visible import visible

_GZIP = 16 + zlib.MAX_WBITS
_MAX_LINE = 2_000


class RefusedError(Exception):
    """Untrusted content that is not accepted; the message is a clause that says why."""


def is_folder(path: Path, *, follow_link: bool = False) -> bool:
    """Return whether there is a folder; a link to one counts only with `follow_link`."""
    try:
        return stat.S_ISDIR((path.stat() if follow_link else path.lstat()).st_mode)
    except (OSError, ValueError):
        return False  # the name is too long, or the folder above is not accessible


def subfolders(path: Path) -> Iterator[Path]:
    """Yield the folders in a folder, sorted by name and without links."""
    try:
        entries = sorted(path.iterdir())
    except OSError:
        return
    yield from filter(is_folder, entries)


def printable_path(path: Path) -> str:
    """Return a path for messages, with escapes for what is not seen."""
    return visible(str(path)).replace("\n", "\\n").replace("\t", "\\t")


def printable_line(text: str) -> str:
    """Return a text for messages: on one line, visible, and of at most 2,000 characters."""
    return visible(" ".join(text[:_MAX_LINE].split()))


def read_file(path: Path, max_bytes: int) -> bytes:
    """Return the content of a regular file of at most `max_bytes`; raise `RefusedError`."""
    try:
        if path.is_symlink():
            raise RefusedError("is a link")
        return read_regular(path, max_bytes, follow_link=False)
    except FileNotFoundError:
        raise RefusedError("is missing") from None
    except OSError as error:
        raise RefusedError(f"cannot be read: {error.strerror}") from error
    except ValueError as error:  # a name that no file has
        raise RefusedError(f"cannot be read: {error}") from error


def decompress(content: bytes, max_bytes: int) -> bytes:
    """Return the content of a gzip file of at most `max_bytes`; raise `RefusedError`."""
    decompressor = zlib.decompressobj(wbits=_GZIP)
    try:
        plain = decompressor.decompress(content, max_bytes + 1)
    except zlib.error as error:
        raise RefusedError(f"cannot be decompressed ({error})") from error
    if len(plain) > max_bytes:
        raise RefusedError(f"decompresses to more than {max_bytes} bytes")
    if not decompressor.eof or decompressor.unused_data:
        raise RefusedError("cannot be decompressed (truncated, or followed by other data)")
    return plain


def sha256(content: bytes) -> str:
    """Return the hexadecimal sha256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


def parse_json(content: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of a JSON text; raise `RefusedError`."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"is not JSON ({error})") from error
