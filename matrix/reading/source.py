"""A document's bytes as text: decoded, hashed, its front matter set apart, lines kept."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from matrix.errors import UnreadableInputError

__all__ = ["MAX_BYTES", "Source", "load_source"]

MAX_BYTES = 5_000_000
"""A compatibility page has some 15 kB; anything near this is not one."""

_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_KEY = re.compile(r"^([A-Za-z_]+)\s*:\s*(.*?)\s*$")


@dataclasses.dataclass(frozen=True)
class Source:
    """A document as read.

    `lines` has one entry per line of the file; the lines of the front matter are blank there, so
    that line numbers (1-based, index + 1) stay those of the file. `sha256` is of the file's bytes.
    """

    path: Path
    lines: tuple[str, ...]
    sha256: str
    front_matter: Mapping[str, str]


def load_source(path: Path) -> Source:
    """Read a document; raise `UnreadableInputError` for anything that is no text."""
    data = _read(path)
    text = _decode(path, data).replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise UnreadableInputError(f"{path} is empty", "Give the Markdown source of the page.")
    lines = text.split("\n")
    front_matter, count = _front_matter(lines)
    body = [""] * count + lines[count:]
    return Source(path, tuple(body), hashlib.sha256(data).hexdigest(), front_matter)


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise UnreadableInputError(
                f"{path} has {size} bytes; a document may have {MAX_BYTES}",
                "Give the Markdown source of one compatibility page.",
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise UnreadableInputError(
            f"there is no document {path}",
            "Check the path; without any document the committed facts are used.",
        ) from None
    except (OSError, ValueError) as error:
        raise UnreadableInputError(
            f"{path} cannot be read: {error}", "Check that it is a file you may read."
        ) from error


def _decode(path: Path, data: bytes) -> str:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            data, codec = data[len(mark) :], encoding
            break
    else:
        codec = "utf-8"
    if codec == "utf-8" and b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        raise UnreadableInputError(
            f"{path}:{line}: this is a binary file", "Give the page's Markdown source, as text."
        )
    try:
        return data.decode(codec)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UnreadableInputError(
            f"{path}:{line}: not {codec.upper()} text (byte {data[error.start]:#04x})",
            f"Convert it first, for example: iconv -f SHIFT_JIS -t UTF-8 {path.name}",
        ) from None


def _front_matter(lines: list[str]) -> tuple[dict[str, str], int]:
    """Return the top-level `key: value` pairs and how many lines the front matter takes."""
    if lines[0].strip() not in {"---", "+++"}:
        return {}, 0
    fence = lines[0].strip()
    pairs: dict[str, str] = {}
    for number, line in enumerate(lines[1:], start=1):
        if line.strip() == fence:
            return pairs, number + 1
        if found := _KEY.match(line):
            pairs[found[1].casefold()] = found[2].strip("'\"")
    return {}, 0  # never closed: then it is a rule and text, and must not vanish
