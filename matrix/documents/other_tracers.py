"""Pages and sections about the tracers of other languages: said, and not read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from matrix.documents.source import DocumentSource, Tag
from matrix.documents.table_reader import TableProblem
from matrix.documents.text import plain
from matrix.documents.vocabulary import Vocabulary
from matrix.errors import UnreadableInputError

__all__ = ["check_page", "without_other_tracers"]

_HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.*?)\s*#*$")
_TITLE = re.compile(r"[\"']([^\"']*)[\"']")
_SECTIONS = {"tab", "collapse-content", "collapse_content", "programming-lang"}
OURS = "python"


def check_page(source: DocumentSource, lines: Sequence[str], vocabulary: Vocabulary) -> None:
    """Raise `UnreadableInputError` for a page that says it is about another language's tracer."""
    first = next((found for line in lines if (found := _HEADING.match(line))), None)
    # A page's own title has one `#`; a section about one tracer of several has more.
    title = first[2] if first and first[1] == "#" else ""
    said = (source.front_matter.get("code_lang", ""), source.front_matter.get("title", ""), title)
    for text in said:
        named = vocabulary.within("tracers", text.replace("_", " "))
        if named is None:
            continue
        if named[0] == OURS or OURS in text.casefold():
            return
        raise UnreadableInputError(
            f"{source.path}: this page is about the {named[0]} tracer ({plain(text)!r})",
            "Only pages about the Python tracer can be read.",
        )


def without_other_tracers(
    lines: Sequence[str], tags: Iterable[Tag], vocabulary: Vocabulary
) -> tuple[list[str], list[TableProblem]]:
    """Blank the tabs, foldings and headed sections of other tracers, and say which."""
    kept = list(lines)
    left_out = []
    for start, end, title in [*_tagged(tags, len(kept)), *_headed(kept)]:
        tracer = vocabulary.exactly("tracers", title)
        if tracer is None or tracer == OURS:
            continue
        if any(line.strip() for line in kept[start - 1 : end]):
            left_out.append(TableProblem(start, f"a section about the {tracer} tracer is left out"))
            kept[start - 1 : end] = [""] * (end - start + 1)
    return kept, left_out


def _tagged(tags: Iterable[Tag], last: int) -> Iterator[tuple[int, int, str]]:
    """Yield first line, last line and title of each tab or folding."""
    open_tags: list[tuple[str, int, str]] = []
    for tag in tags:
        if tag.name in _SECTIONS:
            found = _TITLE.search(tag.arguments)
            open_tags.append((tag.name, tag.line, found[1] if found else tag.arguments))
        elif tag.name[1:] in _SECTIONS and tag.name.startswith("/"):
            while open_tags:
                name, start, title = open_tags.pop()
                yield start, tag.line, title
                if name == tag.name[1:]:
                    break
    for _, start, title in open_tags:
        yield start, last, title


def _headed(lines: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    headings = [
        (number, len(found[1]), found[2])
        for number, line in enumerate(lines, start=1)
        if (found := _HEADING.match(line))
    ]
    for index, (start, level, title) in enumerate(headings):
        after = (number for number, other, _ in headings[index + 1 :] if other <= level)
        yield start, next(after, len(lines) + 1) - 1, title
