"""Unique names of documents and ids of claims, stable against edits elsewhere in a document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from matrix.documents.source import DocumentSource
from matrix.documents.table_reader import ClaimDraft
from matrix.model.claim import Claim, ClaimKind

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
    ClaimKind.INTEGRATION: ("backend", "role", "integration", "python"),
}
_BY_SPECIFIER = {ClaimKind.BRANCH, ClaimKind.RUNTIME, ClaimKind.AUTHENTICATION}


def document_names(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return a name for each document: its stem, prefixed with folders where stems are equal."""
    names = []
    for path in paths:
        parents = [
            tuple(reversed(other.absolute().parent.parts))
            for other in paths
            if other.stem == path.stem
        ]
        folders = tuple(reversed(path.absolute().parent.parts))
        distinguishing = [
            part
            for depth, part in enumerate(folders)
            if any(depth >= len(other) or other[depth] != part for other in parents)
        ]
        suffix = (
            [path.suffix[1:]]
            if sum(other.with_suffix("") == path.with_suffix("") for other in paths) > 1
            else []
        )
        names.append("-".join([*reversed(distinguishing), path.stem, *suffix]))
    return tuple(names)


def draft_ids(document: str, drafts: Iterable[ClaimDraft]) -> Iterator[str]:
    """Yield the id of each draft: `<document>/<kind>/<subject>[/<scope values>...]`.

    Of two equal ids the later one gets the draft's `id_suffixes`; a number is appended only for a
    repeated row.
    """
    taken: set[str] = set()
    last_number: dict[str, int] = {}
    for draft in drafts:
        scope = dict(draft.scope)
        parts = [document, draft.kind.value, draft.subject]
        parts += [_part(scope[key]) for key in _SCOPE.get(draft.kind, ()) if key in scope]
        if draft.kind in _BY_SPECIFIER:
            parts.append(_part(draft.specifier) or "any")
        if draft.kind is ClaimKind.NOTE:
            parts += draft.id_suffixes
        candidate = "/".join(parts)
        for suffix in map(_part, draft.id_suffixes):
            if candidate in taken and suffix:
                candidate = f"{candidate}/{suffix}"
        number, name = last_number.get(candidate, 1), candidate
        while name in taken:
            number += 1
            name = f"{candidate}/{number}"
        last_number[candidate] = number
        taken.add(name)
        yield name


def claims_of(
    drafts: Sequence[tuple[str, ClaimDraft]], document: str, source: DocumentSource, language: str
) -> tuple[Claim, ...]:
    """Return the claims of a document's drafts, which come with the heading above each."""
    ids = draft_ids(document, (draft for _, draft in drafts))
    return tuple(
        Claim(
            id=claim_id,
            kind=draft.kind,
            subject=draft.subject,
            specifier=draft.specifier,
            as_written=draft.as_written,
            status=draft.status,
            document=document,
            language=language,
            sha256=source.sha256,
            heading=heading,
            line=draft.line,
            scope=draft.scope,
        )
        for (heading, draft), claim_id in zip(drafts, ids, strict=True)
    )


def _part(value: str) -> str:
    """Return a scope value or a specifier set without characters that are special in globs."""
    if match := re.fullmatch(r"==([0-9.]+)\.\*", value):
        return match[1]
    for operator, word in _OPERATORS.items():
        value = value.replace(operator, word)
    return value.replace(".*", ".x").replace(",", "-").replace(" ", "")
