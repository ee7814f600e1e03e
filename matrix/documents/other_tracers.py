"""Reject pages and skip sections about the tracers of other programming languages."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence

from matrix.documents.markup import PageProblem, PlainMarkdown, Tag
from matrix.documents.source import DocumentSource
from matrix.documents.text import comparable, plain
from matrix.documents.vocabulary import OUR_TRACER, Vocabulary
from matrix.errors import UnreadableInputError

_HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.*?)\s*#*$")
_TITLE = re.compile(r"[\"']([^\"']*)[\"']")
_SECTIONS = {"tab", "collapse-content", "collapse_content", "programming-lang", "if"}
_NEGATED = re.compile(r"\bnot\b|!=")
_OTHERS = "other"
"""The title of a section that is shown for all languages but ours."""


def check_page(source: DocumentSource, lines: Sequence[str], vocabulary: Vocabulary) -> None:
    """Raise `UnreadableInputError` for a page about the tracer of another language."""
    first = next((match for line in lines if (match := _HEADING.match(line))), None)
    # A page's own title has one `#`; a section about one tracer of several has more.
    title = first[2] if first and first[1] == "#" else ""
    keys = ("code_lang", "title")
    for text in (*(source.front_matter.get(key, "") for key in keys), title):
        tracer = vocabulary.within("tracers", text.replace("_", " "))
        if tracer is None:
            continue
        if tracer[0] == OUR_TRACER or OUR_TRACER in text.casefold():
            return
        raise UnreadableInputError(
            f"{source.path}: page is about the {tracer[0]} tracer ({plain(text)!r})",
            "Only pages about the Python tracer are supported.",
        )


def without_other_tracers(
    page: PlainMarkdown, vocabulary: Vocabulary
) -> tuple[PlainMarkdown, list[PageProblem]]:
    """Return the page without sections of other tracers, and a notice for each of those.

    A section is a tab, a collapsible block, what is shown for one language only or what is under a
    heading.
    """
    remaining = list(page.lines)
    notices = []
    skipped: set[int] = set()
    for start, end, title in [*_tagged(page.tags, len(remaining)), *_headed(remaining)]:
        tracer = tracer_named(title, vocabulary)
        if tracer in {None, OUR_TRACER}:
            continue
        skipped.update(range(start, end + 1))
        if any(line.strip() for line in remaining[start - 1 : end]):
            whose = f"the {tracer} tracer" if tracer != _OTHERS else "other tracers"
            notices.append(PageProblem(start, f"skipped a section about {whose}", notice=True))
            remaining[start - 1 : end] = [""] * (end - start + 1)
    tags = tuple(tag for tag in page.tags if tag.line not in skipped)
    return dataclasses.replace(page, lines=tuple(remaining), tags=tags), notices


def tracer_named(title: str, vocabulary: Vocabulary) -> str | None:
    """Return the tracer that a title or header names: `Java`, `Java tracer`, `For Java`."""
    if title == _OTHERS:
        return _OTHERS
    if exact := vocabulary.exactly("tracers", title):
        return exact
    found = vocabulary.within("tracers", title)
    if found is None:
        return None
    rest = comparable(title).replace(found[1], " ", 1).split()
    return found[0] if set(rest) <= set(vocabulary.forms("prose", "tracer-words")) else None


def _tagged(tags: Iterable[Tag], last: int) -> Iterator[tuple[int, int, str]]:
    """Yield first line, last line and title of each tab or collapsible block."""
    open_tags: list[tuple[str, int, str]] = []
    for tag in tags:
        if tag.name == "if":
            open_tags.append((tag.name, tag.line, _condition(tag.arguments)))
        elif tag.name in {"else", "elseif"} and open_tags and open_tags[-1][0] == "if":
            name, start, title = open_tags.pop()
            yield start, tag.line, title
            # Ours was shown above, so that the rest is for others.
            below = _OTHERS if title == OUR_TRACER else _condition(tag.arguments)
            open_tags.append((name, tag.line, below))
        elif tag.name in _SECTIONS:
            match = _TITLE.search(tag.arguments)
            open_tags.append((tag.name, tag.line, match[1] if match else tag.arguments))
        elif tag.name[1:] in _SECTIONS and tag.name.startswith("/"):
            while open_tags:
                name, start, title = open_tags.pop()
                yield start, tag.line, title
                if name == tag.name[1:]:
                    break
    for _, start, title in open_tags:
        yield start, last, title


def _condition(arguments: str) -> str:
    """Return the title of what is shown under a condition such as `equals($lang, "java")`."""
    languages = _TITLE.findall(arguments)
    if OUR_TRACER in languages:
        return _OTHERS if _NEGATED.search(arguments) else OUR_TRACER
    return languages[0] if len(languages) == 1 and not _NEGATED.search(arguments) else ""


def _headed(lines: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Yield first line, last line and title of the section under each heading."""
    headings = [
        (number, len(match[1]), match[2])
        for number, line in enumerate(lines, start=1)
        if (match := _HEADING.match(line))
    ]
    for index, (start, level, title) in enumerate(headings):
        after = (number for number, other, _ in headings[index + 1 :] if other <= level)
        yield start, next(after, len(lines) + 1) - 1, title
