"""Runtimes that no artifact serves: taken out of the lists that name them, or the row with them.

A row promises each of its CPythons on each of its processors. What is refuted can be taken out
where it is a CPython on all of them, or a processor with all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from matrix.model.claim import Claim, ClaimKind
from matrix.reading.tables.runtime import pythons
from matrix.reading.versions import VersionsError, read_versions
from matrix.reading.vocabulary import Vocabulary
from matrix.reading.words import plain
from matrix.suggesting.change import Action, Change, LeftAlone, ground_of
from matrix.suggesting.paper import Case, Paper, PlacedRow
from matrix.suggesting.sheet import Cut, Splice

__all__ = ["narrowed_runtimes"]

_BETWEEN = re.compile(r"(\s*[,;\u3001\uff0c]\s*)")
_SPAN = re.compile(r"([0-9.]+)([^0-9.]+)([0-9.]+)")
_USUAL = ", "


def narrowed_runtimes(case: Case, paper: Paper) -> Iterator[Change | LeftAlone]:
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
        splices = _splices(paper, line, claims, wrong)
        if not splices:
            why = "what is refuted is no whole list entry of the row: it must be split by hand"
            yield LeftAlone(paper.name, line, named, why, refuted=True, grounds=grounds)
            continue
        yield Change(
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
    paper: Paper, line: int, claims: Sequence[Claim], wrong: Sequence[Claim]
) -> list[Splice]:
    row = paper.row(line)
    if row is None:
        return []
    if len(wrong) == len(claims):
        return [Cut(line, line)] if len(row.laid.table.rows) > 1 else []
    lost_pythons = _whole("python", claims, wrong)
    lost_cpus = _whole("cpu", claims, wrong)
    told = [
        claim
        for claim in claims
        if claim.get("python") in lost_pythons or claim.get("cpu") in lost_cpus
    ]
    if len(told) != len(wrong):
        return []
    words = paper.layout.vocabulary
    system = claims[0].get("os") or ""
    splices: list[Splice] = []
    if lost_pythons:
        splices += _listed(
            row, "runtime-versions", lambda item: _without(item, lost_pythons, words)
        )
    if lost_cpus:
        splices += _listed(
            row,
            "cpu",
            lambda item: [] if _cpu(item, system, words) in lost_cpus else [item],
        )
    return splices if len(splices) == bool(lost_pythons) + bool(lost_cpus) else []


def _whole(key: str, claims: Sequence[Claim], wrong: Sequence[Claim]) -> set[str]:
    """Return the values of which every claim of the row is refuted."""
    right = {claim.get(key) for claim in claims if claim not in wrong}
    return {value for claim in wrong if (value := claim.get(key)) and value not in right}


def _listed(row: PlacedRow, role: str, kept: Callable[[str], list[str] | None]) -> list[Splice]:
    """Return the change that leaves of a cell's list what `kept` says of each item."""
    column = row.laid.position(role)
    if column is None:
        return []
    parts = _BETWEEN.split(row.cell(column).strip())
    items, between = parts[::2], parts[1::2]
    usual = between[0] if between else _USUAL
    text = ""
    for number, item in enumerate(items):
        left = kept(item)
        if left is None:
            return []
        if left:
            text += (between[number - 1] if text else "") + usual.join(left)
    return [row.swap(column, text)] if text else []


def _without(item: str, lost: set[str], vocabulary: Vocabulary) -> list[str] | None:
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
