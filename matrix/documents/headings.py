"""The section of the page, and the deployment, that the headings above a table or text name.

The headings of a place are needed too where a partial is joined with the page that includes it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from matrix.documents.blocks import Block, Heading, headings_with
from matrix.documents.vocabulary import Vocabulary

_SYSTEMS = {"host", "windows-host", "macos-host"}
"""Deployments that a heading about an operating system would name, too."""
_TRANSPARENT = {"capability-notes"}


def section_of(headings: tuple[Heading, ...], vocabulary: Vocabulary) -> str:
    """Return the section of the innermost known heading, "" if none is known."""
    for heading in reversed(headings):
        section = vocabulary.exactly("sections", heading.text)
        if section is not None and section not in _TRANSPARENT:
            return section
    if any(vocabulary.exactly("sections", heading.text) for heading in headings):
        return "page"
    return ""


def deployment_of(headings: tuple[Heading, ...], vocabulary: Vocabulary) -> str:
    """Return the deployment that a heading above names, "" for none."""
    found = (vocabulary.exactly("deployments", heading.text) for heading in reversed(headings))
    return next((key for key in found if key is not None and key not in _SYSTEMS), "")


def headings_at(page: Iterable[Block], line: int) -> tuple[Heading, ...]:
    """Return the headings above a line of a page, outermost first."""
    path: tuple[Heading, ...] = ()
    for block in page:
        if isinstance(block, Heading) and block.line <= line:
            path = headings_with(path, block)
    return path


def under_headings(page: Iterable[Block], above: tuple[Heading, ...]) -> Iterator[Block]:
    """Yield the blocks of a partial under its own headings and those of the page that includes it.

    A heading of the partial ends the sections of the page of its level and below.
    """
    for block in page:
        if isinstance(block, Heading):
            yield block
            continue
        outermost = min((heading.level for heading in block.headings), default=7)
        outer = tuple(heading for heading in above if heading.level < outermost)
        yield dataclasses.replace(block, headings=(*outer, *block.headings))
