"""Promises by runtime: what a reader sees at once to be red. Pure."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping

from matrix.model.cell import Cell
from matrix.model.claim import Claim
from matrix.model.verdict import Outcome, PartVerdict, Verdict
from matrix.records import Record

__all__ = ["HeatMap", "Line", "Square", "heat_map", "runtime"]

# Within an outcome, what was tried stands before what was not.
_ORDER = (Outcome.REFUTED, Outcome.CONFIRMED, Outcome.UNVERIFIED)
_WORST = (Outcome.REFUTED, Outcome.UNVERIFIED, Outcome.CONFIRMED)


@dataclasses.dataclass(frozen=True)
class Square:
    """The answer to a promise on one target of one CPython: the worst of its parts there.

    `same` of `parts` parts have it.
    """

    target: str
    outcome: Outcome
    parts: int
    same: int


@dataclasses.dataclass(frozen=True)
class Line:
    """A promise, by all claims that make it and have the very same answer; `squares` by CPython."""

    claims: tuple[Claim, ...]
    verdict: Verdict
    squares: Mapping[str, tuple[Square, ...]]

    @property
    def group(self) -> str:
        """What it is shown among: its outcome, or `not-run` where no cell was planned for it."""
        outcome = self.verdict.outcome
        return "not-run" if outcome is Outcome.UNVERIFIED and not self.squares else outcome.value


@dataclasses.dataclass(frozen=True)
class HeatMap:
    """All lines, what is refuted first; the CPythons ascend, the targets are in the run's order."""

    pythons: tuple[str, ...]
    targets: tuple[str, ...]
    lines: tuple[Line, ...]


def heat_map(record: Record) -> HeatMap:
    """Return the map of a run."""
    alike: dict[tuple[object, ...], list[Claim]] = defaultdict(list)
    verdicts: dict[tuple[object, ...], Verdict] = {}
    for verdict in record.verdicts:
        claim = record.claim_by_id[verdict.claim]
        key = (claim.fact, dataclasses.replace(verdict, claim=""))
        alike[key].append(claim)
        verdicts.setdefault(key, verdict)
    lines = [
        Line(tuple(claims), verdicts[key], _squares(verdicts[key].parts, record.run.targets))
        for key, claims in alike.items()
    ]
    lines.sort(key=lambda line: (_ORDER.index(line.verdict.outcome), not line.squares))
    there = {
        (python, each.target)
        for line in lines
        for python in line.squares
        for each in line.squares[python]
    }
    return HeatMap(
        tuple(sorted({python for python, _ in there}, key=_ascending)),
        tuple(_in_order({target for _, target in there}, record.run.targets)),
        tuple(lines),
    )


def runtime(part: PartVerdict) -> tuple[str, str]:
    """Return the CPython and the target that a part is about: those of the cell that decides."""
    cell = Cell.parse(part.cells[0])
    return cell.python, cell.target


def _squares(
    parts: Iterable[PartVerdict], order: Iterable[str]
) -> Mapping[str, tuple[Square, ...]]:
    there: dict[str, dict[str, list[Outcome]]] = defaultdict(lambda: defaultdict(list))
    for part in parts:
        python, target = runtime(part)
        there[python][target].append(part.outcome)
    order = tuple(order)
    return {
        python: tuple(_square(target, by_target[target]) for target in _in_order(by_target, order))
        for python, by_target in there.items()
    }


def _square(target: str, outcomes: list[Outcome]) -> Square:
    worst = min(outcomes, key=_WORST.index)
    return Square(target, worst, len(outcomes), outcomes.count(worst))


def _in_order(targets: Iterable[str], order: Iterable[str]) -> list[str]:
    known = list(order)
    return sorted(
        targets, key=lambda name: (known.index(name) if name in known else len(known), name)
    )


def _ascending(python: str) -> tuple[int, ...]:
    return tuple(int(part) for part in python.split("."))
