"""Turn the dialects of a page into plain Markdown, line for line.

The dialects are Hugo shortcodes (`{{< X >}}`, `{{% tab %}}`), Markdoc tags (`{% alert %}`), HTML
icons, comments and struck-out text. A tag becomes a mark (`YES`, `NO`) or a `Tag` with its line.
The number of lines never changes, so line numbers are those of the file.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence

YES = "\N{CHECK MARK}"
NO = "\N{BALLOT X}"
STRUCK_OUT = "{struck out}"
"""What stands in a row for struck-out text: a row with it promises nothing that can be read."""

STRUCK_OUT_TAG = "del"
"""The name of the `Tag` of struck-out text elsewhere."""

_COMMENTS = (
    (re.compile("<!--"), re.compile("-->")),
    (re.compile(r"\{\{/\*"), re.compile(r"\*/\}\}")),
    (re.compile(r"\{\{%\s*comment\s*%\}\}"), re.compile(r"\{\{%\s*/comment\s*%\}\}")),
    (re.compile(r"\{%\s*comment\s*%\}"), re.compile(r"\{%\s*/comment\s*%\}")),
)
# A tag cannot contain the beginning of another one.
_TAG = re.compile(
    r"\{\{[<%]\s*(?P<hugo>(?:(?!\{\{[<%]).)*?)\s*[>%]\}\}|\{%\s*(?P<markdoc>(?:(?!\{%).)*?)\s*%\}",
    re.DOTALL,
)
_MARKS = (
    (re.compile(r"<i\b[^<>]*\bicon-(?:check|tick)[^<>]*>(?:\s*</i>)?", re.IGNORECASE), YES),
    (re.compile(r"<i\b[^<>]*\bicon-(?:x|close|cross|no)\b[^<>]*>(?:\s*</i>)?", re.IGNORECASE), NO),
    (re.compile(r":(?:white_check_mark|heavy_check_mark|check):"), YES),
    (re.compile(r":(?:x|no_entry|negative_squared_cross_mark):"), NO),
)
_STRUCK = re.compile(
    r"<(?P<tag>del|s|strike)\b[^<>]*>(?:(?!<(?:del|s|strike)\b).)*?</(?P=tag)>|~~[^~\n]+~~",
    re.IGNORECASE | re.DOTALL,
)
_ANCHOR = re.compile(r"(?m)^([ \t]{0,3}#{1,6}[ \t].*?)[ \t]*\{%?[ \t]*#[^}\n]*\}[ \t]*$")
_DELIMITER = re.compile(r"^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$")
_FENCE = re.compile(r"^\s{0,3}(```+|~~~+)(.*)$")
_REFERENCE = re.compile(r"(?m)^[ \t]{0,3}\[([^\[\]\n]+)\]:[ \t]*(\S+)")
_TRANSLATED = re.compile(
    r"(?m)(?<=\|)[ \t]*\[[^\[\]\n]*[^\x00-\x7f\n][^\[\]\n]*\]"
    r"(?P<target>\[(?P<key>[^\[\]\n]+)\]|\((?P<url>[^()\s]+)\))(?=[ \t]*\|)"
)
# The index page of a distribution, and the section of an integration in the tracer's documentation.
_TELLING = re.compile(r"pypi\.org/project/([\w.-]+)|/integrations\.html#(?:module-)?([\w-]+)")
_FULL_WIDTH = "\N{FULLWIDTH VERTICAL LINE}"
_ROW = re.compile(rf"^\s*{_FULL_WIDTH}")


@dataclasses.dataclass(frozen=True)
class Tag:
    """A shortcode or tag other than a mark, e.g. `partial`, with its arguments and 1-based line."""

    name: str
    arguments: str
    line: int


@dataclasses.dataclass(frozen=True)
class PageProblem:
    """Something on a line that is not understood, with the nearest known word.

    `written` is the part of the line that the problem is about, as it stands there, if known.
    `notice` is set for content that is understood and not read, such as another tracer's.
    """

    line: int
    message: str
    suggestion: str = ""
    written: str = ""
    notice: bool = False


@dataclasses.dataclass(frozen=True)
class PlainMarkdown:
    """The lines of a page as plain Markdown, its tags, and what is opened and never closed."""

    lines: tuple[str, ...]
    tags: tuple[Tag, ...]
    problems: tuple[PageProblem, ...]


def plain_markdown(lines: Sequence[str]) -> PlainMarkdown:
    """Return the lines (the same number) without the markup of the page's dialect."""
    text, problems = _without_comments("\n".join(lines))
    text = _ANCHOR.sub(r"\1", text)
    tags: list[Tag] = []

    def line_of(match: re.Match[str]) -> int:
        return text.count("\n", 0, match.start()) + 1

    def in_row(match: re.Match[str]) -> bool:
        line_start = text.rfind("\n", 0, match.start()) + 1
        return text[line_start : match.start()].lstrip().startswith("|")

    def replace(match: re.Match[str]) -> str:
        body = (match["hugo"] if match["hugo"] is not None else match["markdoc"]) or ""
        name, _, arguments = body.strip(" /").partition(" ")
        closing = body.lstrip().startswith("/")
        if name.casefold() == "x":
            return YES
        if name.casefold() in {"icon", "check"} and not closing:
            return NO if re.search(r"icon-(?:x|close|cross)\b|\bno\b", arguments) else YES
        tag = Tag(("/" if closing else "") + name, " ".join(arguments.split()), line_of(match))
        tags.append(tag)
        # An unknown tag must not leave an empty cell, which would be a claim.
        return f"{{{name}}}" if in_row(match) else _blank(match[0])

    def strike(match: re.Match[str]) -> str:
        if in_row(match):
            return STRUCK_OUT
        tags.append(Tag(STRUCK_OUT_TAG, "", line_of(match)))
        return _blank(match[0])

    text = _TAG.sub(replace, text)
    text = _STRUCK.sub(strike, text)
    for pattern, mark in _MARKS:
        text = pattern.sub(mark, text)
    text = _named_by_links(text)
    normalized, open_fence = _normalize_tables(text.split("\n"))
    if open_fence:
        problems.append(PageProblem(open_fence, "code block is never closed"))
    return PlainMarkdown(tuple(normalized), tuple(tags), tuple(problems))


def _named_by_links(text: str) -> str:
    """Replace translated names by those that their links tell: `[requêtes][40]`."""
    targets = {match[1]: match[2] for match in _REFERENCE.finditer(text)}

    def rename(match: re.Match[str]) -> str:
        telling = _TELLING.search(match["url"] or targets.get(match["key"] or "", ""))
        name = next(filter(None, telling.groups()), "") if telling else ""
        return f"[{name}]{match['target']}" if name else match[0]

    return _TRANSLATED.sub(rename, text)


def _without_comments(text: str) -> tuple[str, list[PageProblem]]:
    """Return a text with blank comments; one that is never closed is text, and a problem."""
    problems: list[PageProblem] = []
    for opening, closing in _COMMENTS:
        text = "".join(_uncommented(text, opening, closing, problems))
    return text, problems


def _uncommented(
    text: str, opening: re.Pattern[str], closing: re.Pattern[str], problems: list[PageProblem]
) -> Iterator[str]:
    position = 0
    while start := opening.search(text, position):
        yield text[position : start.start()]
        end = closing.search(text, start.end())
        if end is None:
            line = text.count("\n", 0, start.start()) + 1
            problems.append(PageProblem(line, "comment is never closed", written=start[0]))
            position = start.end()
            break
        yield _blank(text[start.start() : end.end()])
        position = end.end()
    yield text[position:]


def _blank(text: str) -> str:
    return "\n" * text.count("\n")


def _normalize_tables(lines: list[str]) -> tuple[list[str], int]:
    """Remove the indentation of table rows and give each delimiter row its header's width.

    Markdown takes rows that are indented inside tabs for code, and a header with a delimiter row of
    another width is no table, so its rows would be lost. Also return the 1-based line of a code
    block that is never closed, 0 without one.
    """
    out: list[str] = []
    fence, opened = "", 0
    in_table = False
    for number, written in enumerate(lines, start=1):
        line = written.replace(_FULL_WIDTH, "|") if _ROW.match(written) else written
        match = _FENCE.match(line)
        if match and not fence:
            fence, opened = match[1], number
        elif match and match[1].startswith(fence) and not match[2].strip():
            fence, opened = "", 0
            out.append(line)
            continue
        if fence:
            in_table = False
            out.append(line)
            continue
        stripped = line.lstrip()
        delimits = "|" in line and bool(_DELIMITER.match(stripped))
        in_table = (in_table and "|" in line) or (delimits and bool(out) and "|" in out[-1])
        if not stripped.startswith("|") and not in_table:
            out.append(line)
        elif delimits and out and "|" in out[-1]:
            out.append(_fit_delimiter(stripped, out[-1]))
        else:
            out.append(stripped)
    return out, opened


def _fit_delimiter(delimiter: str, header: str) -> str:
    def width(row: str) -> int:
        row = row.strip().replace("\\|", "")
        return row.removeprefix("|").removesuffix("|").count("|") + 1

    columns = width(header)
    if width(delimiter) == columns or _DELIMITER.match(header):
        return delimiter
    return "|" + " --- |" * columns
