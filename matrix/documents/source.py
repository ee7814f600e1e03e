"""Read a document's file: its text, its front matter, its digest."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from matrix.errors import UnreadableInputError

MAX_BYTES = 5_000_000
"""Upper bound of a document's size; a compatibility page has some 15 kB."""

_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_DIRECTIVE = re.compile(r"\.\. [\w-]+::")
_UNDERLINE = re.compile(r"([~^\"'`*+.:_])\1{2,}$")
_MARKDOWN = re.compile(r"#{1,6} |\||[-*+] |\d+\. |>|\*\*")
_FEWEST_ROWS = 2
_KEY = re.compile(r"^([A-Za-z_]+)\s*:\s*(.*?)\s*$")


@dataclasses.dataclass(frozen=True)
class DocumentSource:
    """The text of a document.

    `lines` has one entry per line of the file (line number = index + 1); the lines of the front
    matter are blank. `sha256` is the digest of the file's bytes.
    """

    path: Path
    lines: tuple[str, ...]
    sha256: str
    front_matter: Mapping[str, str]


def load_source(path: Path) -> DocumentSource:
    """Read a document; raise `UnreadableInputError` if it is not text."""
    data = _read(path)
    text = _decode(path, data).replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise UnreadableInputError(f"{path} is empty", "Pass the Markdown source of the page.")
    lines = text.split("\n")
    front_matter, count = _front_matter(lines)
    body = [""] * count + lines[count:]
    return DocumentSource(path, tuple(body), hashlib.sha256(data).hexdigest(), front_matter)


def _read(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableInputError(
                f"{path} is not a regular file", "Save the Markdown source of the page in a file."
            )
        if (size := status.st_size) > MAX_BYTES:
            raise UnreadableInputError(
                f"{path} is too large: {size} bytes (limit: {MAX_BYTES})",
                "Pass the Markdown source of one compatibility page.",
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise UnreadableInputError(
            f"document not found: {path}",
            "Check the path; without documents the committed facts are used.",
        ) from None
    except (OSError, ValueError) as error:
        raise UnreadableInputError(
            f"cannot read {path}: {error}", "Check that it is a readable file."
        ) from error


def check_format(source: DocumentSource) -> None:
    """Raise `UnreadableInputError` for a file of another format, which is named."""
    written = [line.strip() for line in source.lines if line.strip()]
    name = ""
    if written and written[0][:1] in {"{", "["} and _is_json("\n".join(source.lines)):
        name = "JSON"
    elif any(_DIRECTIVE.match(line) for line in written) or _has_underlined_titles(source.lines):
        name = "reStructuredText"
    elif _is_csv(written):
        name = "CSV"
    if name:
        raise UnreadableInputError(
            f"{source.path} is {name}, not Markdown", "Pass the Markdown source of the page."
        )


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _has_underlined_titles(lines: tuple[str, ...]) -> bool:
    """Return whether a title is underlined by a character that Markdown does not use for it."""
    return any(
        title.strip() and len(title.strip()) <= len(line) and _UNDERLINE.match(line)
        for title, line in itertools.pairwise(lines)
    )


def _is_csv(written: list[str]) -> bool:
    """Return whether all lines have the same number of commas (or tabs, semicolons), and no more.

    A page of Markdown has headings, tables or bullets.
    """
    if len(written) < _FEWEST_ROWS or any(_MARKDOWN.match(line) for line in written):
        return False
    return any(
        min(counts) >= 1 and len(set(counts)) == 1
        for mark in ",;\t"
        if (counts := [line.count(mark) for line in written])
    )


def byte_order_mark(data: bytes) -> tuple[bytes, str]:
    """Return the byte order mark that a file begins with (b"" for none), and its encoding."""
    return next((pair for pair in _BOMS if data.startswith(pair[0])), (b"", "utf-8"))


def _decode(path: Path, data: bytes) -> str:
    mark, codec = byte_order_mark(data)
    data = data.removeprefix(mark)
    if codec == "utf-8" and b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        raise UnreadableInputError(
            f"{path}:{line}: binary file", "Pass the Markdown source of the page, as text."
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
    """Return the top-level `key: value` pairs and the number of lines of the front matter."""
    if lines[0].strip() not in {"---", "+++"}:
        return {}, 0
    fence = lines[0].strip()
    pairs: dict[str, str] = {}
    for number, line in enumerate(lines[1:], start=1):
        if line.strip() == fence:
            return pairs, number + 1
        if match := _KEY.match(line):
            pairs[match[1].casefold()] = match[2].strip("'\"")
    return {}, 0  # not closed, so it is a horizontal rule and text
