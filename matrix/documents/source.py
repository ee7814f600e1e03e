"""A document's bytes as text: decoded, hashed, its front matter set apart, lines kept.

The dialects in which the pages are written, turned into plain Markdown, line for line.

Hugo shortcodes (`{{< X >}}`, `{{% tab %}}`), Markdoc tags (`{% alert %}`), HTML icons and
comments. What a tag says is kept as a mark (`YES`, `NO`) or as a `Tag` with its line; the line
count never changes, so that line numbers stay those of the file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from matrix.errors import UnreadableInputError

__all__ = ["MAX_BYTES", "NO", "YES", "DocumentSource", "Tag", "load_source", "plain_markdown"]

MAX_BYTES = 5_000_000
"""A compatibility page has some 15 kB; anything near this is not one."""

_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_KEY = re.compile(r"^([A-Za-z_]+)\s*:\s*(.*?)\s*$")


@dataclasses.dataclass(frozen=True)
class DocumentSource:
    """A document as read.

    `lines` has one entry per line of the file; the lines of the front matter are blank there, so
    that line numbers (1-based, index + 1) stay those of the file. `sha256` is of the file's bytes.
    """

    path: Path
    lines: tuple[str, ...]
    sha256: str
    front_matter: Mapping[str, str]


def load_source(path: Path) -> DocumentSource:
    """Read a document; raise `UnreadableInputError` for anything that is no text."""
    data = _read(path)
    text = _decode(path, data).replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise UnreadableInputError(f"{path} is empty", "Give the Markdown source of the page.")
    lines = text.split("\n")
    front_matter, count = _front_matter(lines)
    body = [""] * count + lines[count:]
    return DocumentSource(path, tuple(body), hashlib.sha256(data).hexdigest(), front_matter)


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


YES = "\N{CHECK MARK}"
NO = "\N{BALLOT X}"

_COMMENT = re.compile(
    r"<!--.*?(?:-->|\Z)|\{\{/\*.*?\*/\}\}"
    r"|\{\{%\s*comment\s*%\}\}.*?\{\{%\s*/comment\s*%\}\}|\{%\s*comment\s*%\}.*?\{%\s*/comment\s*%\}",
    re.DOTALL,
)
_TAG = re.compile(r"\{\{[<%]\s*(?P<hugo>.*?)\s*[>%]\}\}|\{%\s*(?P<markdoc>.*?)\s*%\}", re.DOTALL)
_MARKS = (
    (re.compile(r"<i\b[^>]*\bicon-(?:check|tick)[^>]*>(?:\s*</i>)?", re.IGNORECASE), YES),
    (re.compile(r"<i\b[^>]*\bicon-(?:x|close|cross|no)\b[^>]*>(?:\s*</i>)?", re.IGNORECASE), NO),
    (re.compile(r":(?:white_check_mark|heavy_check_mark|check):"), YES),
    (re.compile(r":(?:x|no_entry|negative_squared_cross_mark):"), NO),
)
_ANCHOR = re.compile(r"(?m)^(\s{0,3}#{1,6}\s.*?)[ \t]*\{%?[ \t]*#[^}]*\}[ \t]*$")
_DELIMITER = re.compile(r"^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$")
_FENCE = re.compile(r"^\s{0,3}(```+|~~~+)")


@dataclasses.dataclass(frozen=True)
class Tag:
    """A shortcode or tag that is no mark: `partial` with its arguments, and its 1-based line."""

    name: str
    arguments: str
    line: int


def plain_markdown(lines: Sequence[str]) -> tuple[list[str], list[Tag]]:
    """Return the lines as plain Markdown (as many as came in) and the tags found on the way."""
    text = "\n".join(lines)
    text = _COMMENT.sub(_blank, text)
    text = _ANCHOR.sub(r"\1", text)
    tags: list[Tag] = []

    def replace(found: re.Match[str]) -> str:
        body = (found["hugo"] if found["hugo"] is not None else found["markdoc"]) or ""
        name, _, arguments = body.strip(" /").partition(" ")
        closing = body.lstrip().startswith("/")
        if name.casefold() == "x":
            return YES
        if name.casefold() in {"icon", "check"} and not closing:
            return NO if re.search(r"icon-(?:x|close|cross)\b|\bno\b", arguments) else YES
        line = text.count("\n", 0, found.start()) + 1
        tags.append(Tag(("/" if closing else "") + name, " ".join(arguments.split()), line))
        if _in_row(text, found.start()):
            # An unknown tag in a cell must not leave an empty cell: that would be a promise.
            return f"{{{name}}}"
        return _blank(found)

    text = _TAG.sub(replace, text)
    for pattern, mark in _MARKS:
        text = pattern.sub(mark, text)
    return _tables_unindented(text.split("\n")), tags


def _in_row(text: str, at: int) -> bool:
    return text[text.rfind("\n", 0, at) + 1 : at].lstrip().startswith("|")


def _blank(found: re.Match[str]) -> str:
    return "\n" * found[0].count("\n")


def _tables_unindented(lines: list[str]) -> list[str]:
    """Take the indentation off table rows, and give a delimiter row its header's width.

    Inside tabs, rows are often indented so far that Markdown takes them for code; and a header
    whose delimiter row is too short or too long makes no table at all, which would hide its rows.
    """
    out: list[str] = []
    fence = ""
    for line in lines:
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        if fence or not (stripped := line.lstrip()).startswith("|"):
            out.append(line)
            continue
        if _DELIMITER.match(stripped) and out and out[-1].count("|") >= 1:
            out.append(_as_wide_as(stripped, out[-1]))
        else:
            out.append(stripped)
    return out


def _as_wide_as(delimiter: str, header: str) -> str:
    def width(row: str) -> int:
        row = row.strip().replace("\\|", "")
        return row.removeprefix("|").removesuffix("|").count("|") + 1

    wanted = width(header)
    if width(delimiter) == wanted or _DELIMITER.match(header):
        return delimiter
    return "|" + " --- |" * wanted
