"""The dialects in which the pages are written, turned into plain Markdown, line for line.

Hugo shortcodes (`{{< X >}}`, `{{% tab %}}`), Markdoc tags (`{% alert %}`), HTML icons and
comments. What a tag says is kept as a mark (`YES`, `NO`) or as a `Tag` with its line; the line
count never changes, so that line numbers stay those of the file.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

__all__ = ["NO", "YES", "Tag", "plain_markdown"]

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
