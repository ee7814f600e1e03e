"""Read a document: its text as plain Markdown, line for line, and the blocks of that.

The dialects are Hugo shortcodes (`{{< X >}}`, `{{% tab %}}`), Markdoc tags (`{% alert %}`), HTML
icons and comments. A tag becomes a mark (`YES`, `NO`) or a `Tag` with its line. The number of lines
never changes, so line numbers are those of the file. The blocks are headings, tables and texts,
parsed by markdown-it-py.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from matrix.errors import UnreadableInputError

MAX_BYTES = 5_000_000
"""Upper bound of a document's size; a compatibility page has some 15 kB."""

_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
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
        size = path.stat().st_size
        if size > MAX_BYTES:
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
_FIRST_DELIMITER = re.compile(r"^\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?$")
_SECOND_DELIMITER = re.compile(r"^\|?\s*:?-{3,}:?\s*(\|\s*:?-{3,}:?\s*)*\|?$")
_REFERENCE = re.compile(r"^\s{0,3}\[[^\]]+\]:\s*\S")
_CONTAINER = re.compile(r"^[\s>]+")


@dataclasses.dataclass(frozen=True)
class Tag:
    """A shortcode or tag other than a mark, e.g. `partial`, with its arguments and 1-based line."""

    name: str
    arguments: str
    line: int


def plain_markdown(lines: Sequence[str]) -> tuple[list[str], list[Tag]]:
    """Return the lines as plain Markdown (the same number) and their tags."""
    text = "\n".join(lines)
    text = _COMMENT.sub(_blank, text)
    text = _ANCHOR.sub(r"\1", text)
    tags: list[Tag] = []

    def replace(match: re.Match[str]) -> str:
        body = (match["hugo"] if match["hugo"] is not None else match["markdoc"]) or ""
        name, _, arguments = body.strip(" /").partition(" ")
        closing = body.lstrip().startswith("/")
        if name.casefold() == "x":
            return YES
        if name.casefold() in {"icon", "check"} and not closing:
            return NO if re.search(r"icon-(?:x|close|cross)\b|\bno\b", arguments) else YES
        line = text.count("\n", 0, match.start()) + 1
        tags.append(Tag(("/" if closing else "") + name, " ".join(arguments.split()), line))
        line_start = text.rfind("\n", 0, match.start()) + 1
        if text[line_start : match.start()].lstrip().startswith("|"):
            # An unknown tag must not leave an empty cell, which would be a claim.
            return f"{{{name}}}"
        return _blank(match)

    text = _TAG.sub(replace, text)
    for pattern, mark in _MARKS:
        text = pattern.sub(mark, text)
    return _normalize_tables(text.split("\n")), tags


def _blank(match: re.Match[str]) -> str:
    return "\n" * match[0].count("\n")


def _normalize_tables(lines: list[str]) -> list[str]:
    """Remove the indentation of table rows and give each delimiter row its header's width.

    Markdown takes rows that are indented inside tabs for code, and a header with a delimiter row of
    another width is no table, so its rows would be lost.
    """
    out: list[str] = []
    fence = ""
    for line in lines:
        match = _FENCE.match(line)
        if match and (not fence or match[1].startswith(fence)):
            fence = "" if fence else match[1]
        if fence or not (stripped := line.lstrip()).startswith("|"):
            out.append(line)
            continue
        if _DELIMITER.match(stripped) and out and out[-1].count("|") >= 1:
            out.append(_fit_delimiter(stripped, out[-1]))
        else:
            out.append(stripped)
    return out


def _fit_delimiter(delimiter: str, header: str) -> str:
    def width(row: str) -> int:
        row = row.strip().replace("\\|", "")
        return row.removeprefix("|").removesuffix("|").count("|") + 1

    columns = width(header)
    if width(delimiter) == columns or _DELIMITER.match(header):
        return delimiter
    return "|" + " --- |" * columns


@dataclasses.dataclass(frozen=True)
class Heading:
    """A heading and its text as written, without anchors."""

    line: int
    level: int
    text: str


@dataclasses.dataclass(frozen=True)
class TableRow:
    """A row of a table with its cells as written (Markdown)."""

    line: int
    cells: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """A table and the headings above it, outermost first."""

    header: TableRow
    rows: tuple[TableRow, ...]
    headings: tuple[Heading, ...]


@dataclasses.dataclass(frozen=True)
class Text:
    """A paragraph, a bullet or an HTML block; `lines` are its lines as written."""

    line: int
    lines: tuple[str, ...]
    kind: Literal["paragraph", "bullet", "html"]
    headings: tuple[Heading, ...]

    @property
    def text(self) -> str:
        """Return the whole text on one line."""
        return " ".join(line.strip() for line in self.lines)


Block: TypeAlias = Heading | Table | Text


def blocks(lines: Sequence[str]) -> Iterator[Block]:
    """Yield the blocks of a page in order, without code blocks."""
    from markdown_it import MarkdownIt  # noqa: PLC0415 - slow to import, the facts need no parser

    parser = MarkdownIt("commonmark").enable("table")
    tokens = parser.parse("\n".join(lines))
    path: list[Heading] = []
    in_items = 0
    in_table = False
    for number, token in enumerate(tokens):
        line = token.map[0] + 1 if token.map else 0
        if token.type == "list_item_open":
            in_items += 1
        elif token.type == "list_item_close":
            in_items -= 1
        elif token.type == "table_open" and token.map:
            in_table = True
            yield from _tables(lines, token.map[0], token.map[1], tuple(path))
        elif token.type == "table_close":
            in_table = False
        elif token.type == "heading_open":
            heading = Heading(
                line, int(token.tag[1:]), " ".join(tokens[number + 1].content.split())
            )
            path = [above for above in path if above.level < heading.level] + [heading]
            yield heading
        elif token.type == "paragraph_open" and not in_table:
            content = tuple(tokens[number + 1].content.split("\n"))
            kind: Literal["bullet", "paragraph"] = "bullet" if in_items else "paragraph"
            yield Text(line, content, kind, tuple(path))
        elif token.type == "html_block":
            content = tuple(token.content.rstrip("\n").split("\n"))
            yield Text(line, content, "html", tuple(path))


def _tables(
    lines: Sequence[str], start: int, end: int, path: tuple[Heading, ...]
) -> Iterator[Table | Text]:
    """Yield the tables in one run of rows; a second header starts another table.

    Markdown takes a line without a pipe for a row; here it is text that follows the table.
    """
    header: TableRow | None = None
    rows: list[TableRow] = []
    texts: list[Text] = []
    for index in range(start, end):
        written = _CONTAINER.sub("", lines[index]).rstrip()
        if (_SECOND_DELIMITER if header else _FIRST_DELIMITER).match(written):
            next_header = rows.pop() if rows else None
            if next_header is not None and header is not None:
                yield Table(header, tuple(rows), path)
            header = next_header or header
            rows = []
        elif "|" not in written:
            if not _REFERENCE.match(written):
                texts.append(Text(index + 1, (written,), "paragraph", path))
        else:
            rows.append(TableRow(index + 1, _cells(written)))
    if header is not None:
        yield Table(header, tuple(rows), path)
    yield from texts


def _cells(written: str) -> tuple[str, ...]:
    """Split a row at its unescaped pipes; the closing pipe is optional."""
    parts = re.split(r"(?<!\\)\|", written)
    if not parts[0].strip():
        parts = parts[1:]
    if parts and not parts[-1].strip():
        parts = parts[:-1]
    return tuple(part.strip() for part in parts)
