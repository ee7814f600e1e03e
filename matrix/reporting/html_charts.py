"""Promises by runtime: what a reader sees at once to be red. Pure.

Which releases were tried for a promise and what each showed, as a strip. Pure.

Plain JSON values with each that is the same said once, for what says much of it often. Pure.

Deflate forgets what it saw 32 KiB ago; cells that were asked the same mostly answered the same.
"""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from matrix.errors import UnreadableInputError
from matrix.model.claim import Claim
from matrix.model.verdict import Observed, Outcome, PartVerdict, Tightness, Verdict
from matrix.reporting.text import promise_text
from matrix.runs.record import Record


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
class HeatRow:
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
    lines: tuple[HeatRow, ...]


def build_heat_map(record: Record) -> HeatMap:
    """Return the map of a run."""
    alike: dict[tuple[object, ...], list[Claim]] = defaultdict(list)
    verdicts: dict[tuple[object, ...], Verdict] = {}
    for verdict in record.verdicts:
        claim = record.claim_by_id[verdict.claim]
        key = (claim.fact, dataclasses.replace(verdict, claim=""))
        alike[key].append(claim)
        verdicts.setdefault(key, verdict)
    lines = [
        HeatRow(tuple(claims), verdicts[key], _squares(verdicts[key].parts, record.run.targets))
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


def part_runtime(part: PartVerdict) -> tuple[str, str]:
    """Return the CPython and the target that a part is about: those of the cell that decides."""
    return part.cells[0].python, part.cells[0].target


def _squares(
    parts: Iterable[PartVerdict], order: Iterable[str]
) -> Mapping[str, tuple[Square, ...]]:
    there: dict[str, dict[str, list[Outcome]]] = defaultdict(lambda: defaultdict(list))
    for part in parts:
        python, target = part_runtime(part)
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


_MOST = 40
_ANSWERS = {"works": "works", "fails": "fails", "cannot-tell": "open"}
_SHOWS = {Observed.PRESENT: "works", Observed.ABSENT: "fails", Observed.UNKNOWN: "open"}
_REMEDY = "Make it with: python -m matrix minimum SUBJECT... --json FILE"


@dataclasses.dataclass(frozen=True)
class StripRelease:
    """A release and what it did: `works` (it was shown), `fails`, `open`; `mixed` where
    environments differ.
    """

    release: str
    answer: str


@dataclasses.dataclass(frozen=True)
class Strip:
    """The releases of one project that were tried, ascending.

    `documented` is the least release promised and `observed` the least that was seen to work, ""
    where there is none.
    """

    title: str
    project: str
    tried: tuple[StripRelease, ...]
    documented: str
    observed: str
    said: str


def read_searches(path: Path) -> list[Strip]:
    """Return the searches of a file that `minimum --json` wrote; raise `UnreadableInputError`."""
    try:
        data = json.loads(path.read_bytes())
        return search_strips(data)
    except OSError as error:
        raise UnreadableInputError(f"{path} cannot be read: {error.strerror}", _REMEDY) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableInputError(f"{path} is no file of searches: {error}", _REMEDY) from error


def search_strips(data: Mapping[str, Any]) -> list[Strip]:
    """Return a strip for each channel of each search; raise ValueError for something else."""
    if data["schema"] != "minimum/1":
        raise ValueError(f"its schema is {data['schema']!r}, not 'minimum/1'")
    return [
        Strip(
            title=f"{search['subject']}, {channel['name']}: {search['framework'] or 'itself'},"
            f" CPython {search['python']}, {search['target']}",
            project=search["project"],
            tried=tuple(
                StripRelease(str(each["release"]), _ANSWERS[each["answer"]])
                for each in channel["tried"]
            ),
            documented=channel["documented"] or "",
            observed=channel["observed"] or "",
            said=" ".join(dict.fromkeys(each["said"] for each in channel["promises"])),
        )
        for search in data["searches"]
        for channel in search["channels"]
    ]


def verdict_strips(record: Record, heat: HeatMap) -> list[Strip]:
    """Return a strip for each promise whose minimum is another than documented."""
    told = (
        _strip(record, line, name)
        for line in heat.lines
        for name in dict.fromkeys(
            (part.probe, part.channel) for part in line.verdict.parts if _is_off(part)
        )
    )
    return [strip for strip in told if len(strip.tried) > 1][:_MOST]


def _is_off(part: PartVerdict) -> bool:
    off = (Tightness.EARLIER, Tightness.LATER, Tightness.MIXED)
    return part.outcome is Outcome.REFUTED or part.tightness in off


def _strip(record: Record, line: HeatRow, name: tuple[str, str]) -> Strip:
    """Return what one channel of a probe showed in all cells that the answer rests on."""
    parts = [part for part in line.verdict.parts if (part.probe, part.channel) == name]
    asked = {(part.probe, part.channel, cell) for part in parts for cell in part.cells}
    cells = {cell for _, _, cell in asked}
    # A row of a library is about the library's releases where those differ, else the tracer's.
    own = {cell.framework_version for cell in cells}
    by_library = line.claims[0].kind.value in {"framework", "integration"} and len(own) > 1
    answers: dict[str, set[str]] = defaultdict(set)
    for cell in cells:
        known = record.cell_records.get(cell)
        release = cell.framework_version if by_library else cell.ddtrace
        for finding in known.findings if known else ():
            if (finding.probe, finding.channel, cell) in asked:
                answers[release].add(_SHOWS[finding.shows])
    tried = [
        StripRelease(release, next(iter(found)) if len(found) == 1 else "mixed")
        for release, found in answers.items()
    ]
    tried.sort(key=lambda each: _version(each.release))
    working = [each.release for each in tried if each.answer == "works"]
    firsts = [
        cell.framework_version if by_library else cell.ddtrace
        for cell in (part.cells[0] for part in parts)
    ]
    subjects = sorted({cell.framework for cell in cells})
    return Strip(
        title=f"{promise_text(line.claims[0])}, {name[1]}",
        project=", ".join(subjects) if by_library else "ddtrace",
        tried=tuple(tried),
        documented=min(firsts, key=_version, default=""),
        observed=working[0] if working else "",
        said="",
    )


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")


def pool_values(value: object) -> list[Any]:
    """Return the values, of which the last is the whole; within one, others are by number."""
    pool: list[Any] = []
    numbers: dict[str, int] = {}

    def number(one: object) -> int:
        if isinstance(one, dict):
            held: object = {name: number(each) for name, each in one.items()}
        elif isinstance(one, (list, tuple)):
            held = [number(each) for each in one]
        else:
            held = one
        key = json.dumps(held)
        if key not in numbers:
            numbers[key] = len(pool)
            pool.append(held)
        return numbers[key]

    # The whole may be the same as a part of it, and must stand last all the same.
    pool.append(pool[number(value)])
    return pool


def unpool_values(pool: list[Any]) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value that was pooled."""
    made: list[Any] = []
    for held in pool:
        if isinstance(held, dict):
            made.append({name: made[each] for name, each in held.items()})
        elif isinstance(held, list):
            made.append([made[each] for each in held])
        else:
            made.append(held)
    return made[-1]
