"""Runtimes that no artifact serves: taken out of the lists that name them, or the row with them.

A row promises each of its CPythons on each of its processors. Where processors lose different
CPythons, the row becomes one for each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from matrix.documents.tables.runtime import pythons
from matrix.documents.text import plain
from matrix.documents.versions import VersionsError, read_versions
from matrix.documents.vocabulary import Vocabulary
from matrix.features.corrections.change import Action, DocumentChange, UnchangedClaim, ground_of
from matrix.features.corrections.edit import Deletion, Insertion, Splice, new_row
from matrix.features.corrections.page import ClaimCase, PageText, PlacedRow
from matrix.model.claim import Claim, ClaimKind

__all__ = ["narrowed_runtimes"]

_BETWEEN = re.compile(r"(\s*[,;\u3001\uff0c]\s*)")
_SPAN = re.compile(r"([0-9.]+)([^0-9.]+)([0-9.]+)")
_USUAL = ", "


def narrowed_runtimes(
    case: ClaimCase, paper: PageText
) -> Iterator[DocumentChange | UnchangedClaim]:
    """Yield a change for each row of which runtimes are refuted."""
    rows: dict[int, list[Claim]] = {}
    for claim in paper.claims:
        if claim.kind is ClaimKind.RUNTIME:
            rows.setdefault(claim.line, []).append(claim)
    for line, claims in rows.items():
        wrong = case.refuted(claims)
        if not wrong:
            continue
        grounds = tuple(ground_of(claim, case.verdicts[claim.id]) for claim in wrong)
        named = ", ".join(dict.fromkeys(_named(claim) for claim in wrong))
        splices = _splices(case, paper, line, claims, wrong)
        if not splices:
            why = "its lists are not understood item by item, or the table would be left empty"
            yield UnchangedClaim(paper.name, line, named, why, refuted=True, grounds=grounds)
            continue
        yield DocumentChange(
            Action.RUNTIME,
            paper.name,
            line,
            f"not for {named}",
            tuple(splices),
            tuple(claim.fact for claim in wrong),
            (),
            grounds,
        )


def _splices(
    case: ClaimCase, paper: PageText, line: int, claims: Sequence[Claim], wrong: Sequence[Claim]
) -> list[Splice]:
    row = paper.row(line)
    if row is None:
        return []
    if len(wrong) == len(claims):
        return [Deletion(line, line)] if _others_stay(case, paper, row) else []
    groups = _groups(claims, wrong)
    splices: list[Splice] = []
    for number, (lost, cpus) in enumerate(groups.items()):
        texts = _texts(paper, row, claims, set(cpus), lost)
        if not texts:
            return []
        if number == 0:
            splices += [
                row.swap(column, text)
                for column, text in texts.items()
                if text != row.cell(column).strip()
            ]
        else:
            cells = [
                texts.get(column, row.cell(column).strip()) for column in range(len(row.spans))
            ]
            splices.append(Insertion(line, new_row(cells, row.text, paper.lines_of(row.laid))))
    return splices


def _groups(
    claims: Sequence[Claim], wrong: Sequence[Claim]
) -> dict[frozenset[str], list[str | None]]:
    """Return the processors that keep a row, by the CPythons that are lost on them."""
    groups: dict[frozenset[str], list[str | None]] = {}
    for cpu in dict.fromkeys(claim.get("cpu") for claim in claims):
        own = {claim.get("python") or "" for claim in claims if claim.get("cpu") == cpu}
        lost = {claim.get("python") or "" for claim in wrong if claim.get("cpu") == cpu}
        if lost != own:
            groups.setdefault(frozenset(lost), []).append(cpu)
    return groups


def _others_stay(case: ClaimCase, paper: PageText, row: PlacedRow) -> bool:
    """Return whether the table keeps a row that is not refuted as a whole."""
    lines = {one.line for one in row.laid.table.rows} - {row.line}
    stay = [claim for claim in paper.claims if claim.line in lines]
    return len(case.refuted(stay)) < len(stay)


def _texts(
    paper: PageText,
    row: PlacedRow,
    claims: Sequence[Claim],
    cpus: set[str | None],
    lost: frozenset[str],
) -> dict[int, str]:
    """Return the cells of a row for some of its processors; none where they cannot be made."""
    words, system = paper.layout.vocabulary, claims[0].get("os") or ""
    made: dict[int, str] = {}
    if cpus != {claim.get("cpu") for claim in claims}:
        made |= _listed(
            row, "cpu", lambda item: [item] if _cpu(item, system, words) in cpus else []
        )
        if not made:
            return {}
    versions = _listed(row, "runtime-versions", lambda item: _without(item, lost, words))
    return {**made, **versions} if versions else {}


def _listed(row: PlacedRow, role: str, kept: Callable[[str], list[str] | None]) -> dict[int, str]:
    """Return a cell by its column, with what `kept` leaves of each item of its list."""
    column = row.laid.position(role)
    if column is None:
        return {}
    parts = _BETWEEN.split(row.cell(column).strip())
    items, between = parts[::2], parts[1::2]
    usual = between[0] if between else _USUAL
    text = ""
    for number, item in enumerate(items):
        left = kept(item)
        if left is None:
            return {}
        if left:
            text += (between[number - 1] if text else "") + usual.join(left)
    return {column: text} if text else {}


def _without(item: str, lost: frozenset[str], vocabulary: Vocabulary) -> list[str] | None:
    """Return what is left of `3.5-3.11` without 3.7: `3.5-3.6` and `3.8-3.11`."""
    try:
        named = list(pythons(read_versions(item, vocabulary)))
    except VersionsError:
        return None
    if not lost.intersection(named):
        return [item]
    span = _SPAN.fullmatch(plain(item))
    if len(named) > 1 and span is None:
        return None
    runs: list[list[str]] = [[]]
    for python in named:
        if python in lost:
            runs.append([])
        else:
            runs[-1].append(python.removeprefix("==").removesuffix(".*"))
    dash = span[2] if span else ""
    return [run[0] if len(run) == 1 else f"{run[0]}{dash}{run[-1]}" for run in runs if run]


def _cpu(item: str, system: str, vocabulary: Vocabulary) -> str | None:
    return vocabulary.exactly(f"cpus-{system}", item) or vocabulary.exactly("cpus", item)


def _named(claim: Claim) -> str:
    python = (claim.get("python") or "").removeprefix("==").removesuffix(".*")
    return " ".join(part for part in (python, claim.get("os"), claim.get("cpu")) if part)
