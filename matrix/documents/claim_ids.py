"""Names of documents and ids of claims: unique, and indifferent to edits elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from matrix.documents.table_reader import ClaimDraft
from matrix.model.claim import ClaimKind

__all__ = ["document_names", "draft_ids"]

_OPERATORS = {
    ">=": "ge",
    "<=": "le",
    "!=": "ne",
    "~=": "compatible",
    "==": "eq",
    ">": "gt",
    "<": "lt",
}
_SCOPE = {
    ClaimKind.DEPLOYMENT: ("deployment",),
    ClaimKind.RUNTIME: ("python", "os", "cpu"),
    ClaimKind.FRAMEWORK: ("capability",),
    ClaimKind.INTEGRATION: ("backend", "role"),
}
_BY_SPECIFIER = {ClaimKind.BRANCH, ClaimKind.RUNTIME, ClaimKind.AUTHENTICATION}


def document_names(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return a name for each document: its stem, behind the folders that tell equal stems apart."""
    names = []
    for path in paths:
        parents = [
            tuple(reversed(other.absolute().parent.parts))
            for other in paths
            if other.stem == path.stem
        ]
        own = tuple(reversed(path.absolute().parent.parts))
        telling = [
            part
            for depth, part in enumerate(own)
            if any(depth >= len(other) or other[depth] != part for other in parents)
        ]
        suffix = (
            [path.suffix[1:]]
            if sum(o.with_suffix("") == path.with_suffix("") for o in paths) > 1
            else []
        )
        names.append("-".join([*reversed(telling), path.stem, *suffix]))
    return tuple(names)


def draft_ids(document: str, drafts: Iterable[ClaimDraft]) -> Iterator[str]:
    """Yield the id of each draft: `<document>/<kind>/<subject>[/<scope values>...]`.

    Where two would be the same, the later one says more of its row; only a row that stands there
    twice gets a number.
    """
    taken: set[str] = set()
    for draft in drafts:
        scope = dict(draft.scope)
        parts = [document, draft.kind.value, draft.subject]
        parts += [_part(scope[key]) for key in _SCOPE.get(draft.kind, ()) if key in scope]
        if draft.kind in _BY_SPECIFIER:
            parts.append(_part(draft.specifier) or "any")
        if draft.kind is ClaimKind.NOTE:
            parts += draft.apart
        candidate = "/".join(parts)
        for more in map(_part, draft.apart):
            if candidate in taken and more:
                candidate = f"{candidate}/{more}"
        number, name = 1, candidate
        while name in taken:
            number += 1
            name = f"{candidate}/{number}"
        taken.add(name)
        yield name


def _part(value: str) -> str:
    """Write a scope value or a specifier set so that it can stand in a path and a glob."""
    if found := re.fullmatch(r"==([0-9.]+)\.\*", value):
        return found[1]
    for operator, word in _OPERATORS.items():
        value = value.replace(operator, word)
    return value.replace(".*", ".x").replace(",", "-").replace(" ", "")
