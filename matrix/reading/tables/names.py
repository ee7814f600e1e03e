"""Name cells: `[Redis][40] [redis-py-cluster][41]`, `aiohttp (client)`."""

from __future__ import annotations

import dataclasses
import re

from matrix.reading.vocabulary import Vocabulary
from matrix.reading.words import plain, slug

__all__ = ["Name", "read_name"]

_LINKED = re.compile(r"\[([^\[\]]+)\][ ]?(?:\[[^\[\]]*\]|\([^()]*\))")
_ASIDE = re.compile(r"[(\uff08]([^()\uff08\uff09]*)[)\uff09]")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Name:
    """A library's slug, the backend it stands for, its role, and what else is in brackets."""

    subject: str
    scope: tuple[tuple[str, str], ...] = ()


def read_name(cell: str, vocabulary: Vocabulary) -> Name | None:
    """Return what a cell names, or None where it names nothing.

    Of several links the last is the library and the first what it talks to.
    """
    links = [found[1] for found in _LINKED.finditer(cell)]
    rest = _LINKED.sub(" ", cell)
    if not links:
        parts = [part for part in _BREAK.split(cell) if plain(part)]
        links = [_ASIDE.sub(" ", part) for part in parts] or [""]
    name = _canonical(links[-1], vocabulary)
    if not name:
        return None
    scope = []
    backend = _canonical(links[0], vocabulary) if len(links) > 1 else ""
    if backend and backend != name:
        scope.append(("backend", backend))
    notes = []
    for aside in (plain(found[1]) for found in _ASIDE.finditer(rest)):
        if role := vocabulary.exactly("roles", aside):
            scope.append(("role", role))
        elif aside:
            notes.append(aside)
    if notes:
        scope.append(("note", "; ".join(notes)))
    return Name(name, tuple(scope))


def _canonical(written: str, vocabulary: Vocabulary) -> str:
    return vocabulary.exactly("names", written) or slug(written)
