"""Charts of the HTML page: claims by runtime, and the releases that were tried for a claim.

Plain JSON values are pooled, so that each is written once: Deflate looks back no further than 32
KiB, and similar cells have similar exchanges.
"""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from matrix.errors import UnreadableInputError
from matrix.model.claim import Claim
from matrix.model.verdict import Observed, Outcome, PartVerdict, Tightness, Verdict
from matrix.pypi.releases import python_key
from matrix.reporting.rows import SHOWN_FIRST, WORST_FIRST
from matrix.reporting.text import promise_text
from matrix.runs.record import Record


@dataclasses.dataclass(frozen=True)
class Square:
    """The worst outcome of a promise on one target and CPython; `same` of `parts` parts have it."""

    target: str
    outcome: Outcome
    parts: int
    same: int


@dataclasses.dataclass(frozen=True)
class HeatRow:
    """A promise: all claims that make it and have equal verdicts; `squares` are by CPython."""

    claims: tuple[Claim, ...]
    verdict: Verdict
    squares: Mapping[str, tuple[Square, ...]]

    @property
    def group(self) -> str:
        """The group of the row: its outcome, or `not-run` where no cell was planned for it."""
        outcome = self.verdict.outcome
        return "not-run" if outcome is Outcome.UNVERIFIED and not self.squares else outcome.value


@dataclasses.dataclass(frozen=True)
class HeatMap:
    """All rows, refuted ones first; CPythons ascend, targets are in the run's order."""

    pythons: tuple[str, ...]
    targets: tuple[str, ...]
    lines: tuple[HeatRow, ...]


def build_heat_map(record: Record) -> HeatMap:
    """Return the heat map of a run."""
    claims, targets = record.claim_by_id, record.run.targets
    alike: dict[tuple[object, ...], list[Verdict]] = defaultdict(list)
    for verdict in record.verdicts:
        answer = dataclasses.replace(verdict, claim="")
        alike[claims[verdict.claim].fact, answer].append(verdict)
    lines = [
        HeatRow(
            tuple(claims[verdict.claim] for verdict in verdicts),
            verdicts[0],
            _squares(verdicts[0].parts, targets),
        )
        for verdicts in alike.values()
    ]
    # Within an outcome, tested claims come before untested ones.
    lines.sort(key=lambda line: (SHOWN_FIRST.index(line.verdict.outcome), not line.squares))
    pythons = {python for line in lines for python in line.squares}
    tested = {each.target for line in lines for row in line.squares.values() for each in row}
    return HeatMap(
        tuple(sorted(pythons, key=python_key)), tuple(_in_order(tested, targets)), tuple(lines)
    )


def _squares(
    parts: Iterable[PartVerdict], order: Sequence[str]
) -> Mapping[str, tuple[Square, ...]]:
    outcomes: dict[str, dict[str, list[Outcome]]] = defaultdict(lambda: defaultdict(list))
    for part in parts:
        own = part.cells[0]
        outcomes[own.python][own.target].append(part.outcome)
    return {
        python: tuple(_square(target, by_target[target]) for target in _in_order(by_target, order))
        for python, by_target in outcomes.items()
    }


def _square(target: str, outcomes: list[Outcome]) -> Square:
    worst = min(outcomes, key=WORST_FIRST.index)
    return Square(target, worst, len(outcomes), outcomes.count(worst))


def _in_order(targets: Iterable[str], order: Sequence[str]) -> list[str]:
    return sorted(
        targets, key=lambda name: (order.index(name) if name in order else len(order), name)
    )


_MAX_STRIPS = 40
_ANSWERS = {"works": "works", "fails": "fails", "cannot-tell": "open"}
_SHOWS = {Observed.PRESENT: "works", Observed.ABSENT: "fails", Observed.UNKNOWN: "open"}
_REMEDY = "Make it with: python -m matrix minimum SUBJECT... --json FILE"


@dataclasses.dataclass(frozen=True)
class StripRelease:
    """A release with its answer: `works`, `fails`, `open`, or `mixed` where environments differ."""

    release: str
    answer: str


@dataclasses.dataclass(frozen=True)
class Strip:
    """The releases of one project that were tried, in ascending order.

    `documented` is the minimum that is promised and `observed` the lowest that works, "" without
    one. `sentence` holds the conclusions of a search.
    """

    title: str
    project: str
    tried: tuple[StripRelease, ...]
    documented: str
    observed: str
    sentence: str


def read_searches(path: Path) -> list[Strip]:
    """Return the searches of a file that `minimum --json` wrote; raise `UnreadableInputError`."""
    try:
        data = json.loads(path.read_bytes())
        return search_strips(data)
    except OSError as error:
        raise UnreadableInputError(f"cannot read {path}: {error.strerror}", _REMEDY) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableInputError(f"{path} is not a file of searches: {error}", _REMEDY) from error


def search_strips(data: Mapping[str, Any]) -> list[Strip]:
    """Return a strip for each channel of each search; raise ValueError for another schema."""
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
            sentence=" ".join(dict.fromkeys(each["said"] for each in channel["promises"])),
        )
        for search in data["searches"]
        for channel in search["channels"]
    ]


def verdict_strips(record: Record, heat: HeatMap) -> list[Strip]:
    """Return a strip for each promise whose minimum differs from the documented one."""
    strips = (
        _strip(record, line, name)
        for line in heat.lines
        for name in dict.fromkeys(map(_experiment, filter(_is_off, line.verdict.parts)))
    )
    return [strip for strip in strips if len(strip.tried) > 1][:_MAX_STRIPS]


def _is_off(part: PartVerdict) -> bool:
    off = (Tightness.EARLIER, Tightness.LATER, Tightness.MIXED)
    return part.outcome is Outcome.REFUTED or part.tightness in off


def _experiment(part: PartVerdict) -> tuple[str, str, str]:
    return part.probe, part.channel, part.cells[0].target


def _strip(record: Record, line: HeatRow, experiment: tuple[str, str, str]) -> Strip:
    """Return the findings of one channel of a probe in the cells of a row on one target."""
    name, target = experiment[:2], experiment[2]
    parts = [part for part in line.verdict.parts if _experiment(part) == experiment]
    cells = {cell for part in parts for cell in part.cells if cell.target == target}
    # A row of a library shows releases of the library where those differ, else of the tracer.
    libraries = {cell.framework_version for cell in cells}
    by_library = line.claims[0].kind.value in {"framework", "integration"} and len(libraries) > 1
    answers: dict[str, set[str]] = defaultdict(set)
    for cell in cells:
        found = record.cell_records.get(cell)
        release = cell.framework_version if by_library else cell.ddtrace
        for finding in found.findings if found else ():
            if (finding.probe, finding.channel) == name:
                answers[release].add(_SHOWS[finding.shows])
    tried = [
        StripRelease(release, next(iter(shown)) if len(shown) == 1 else "mixed")
        for release, shown in answers.items()
    ]
    tried.sort(key=lambda each: _version(each.release))
    working = [each.release for each in tried if each.answer == "works"]
    firsts = [
        cell.framework_version if by_library else cell.ddtrace
        for cell in (part.cells[0] for part in parts)
    ]
    subjects = sorted({cell.framework for cell in cells})
    return Strip(
        title=f"{promise_text(line.claims[0])}, {name[1]}, {target}",
        project=", ".join(subjects) if by_library else "ddtrace",
        tried=tuple(tried),
        documented=min(firsts, key=_version, default=""),
        observed=working[0] if working else "",
        sentence="",
    )


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")


def pool_values(value: object) -> list[Any]:
    """Return all distinct values within `value`, which is the last; they refer by index."""
    pool: list[Any] = []
    indexes: dict[str, int] = {}

    def index_of(item: object) -> int:
        if isinstance(item, dict):
            entry: object = {name: index_of(inner) for name, inner in item.items()}
        elif isinstance(item, (list, tuple)):
            entry = [index_of(inner) for inner in item]
        else:
            entry = item
        key = json.dumps(entry)
        if key not in indexes:
            indexes[key] = len(pool)
            pool.append(entry)
        return indexes[key]

    # The whole may equal a part of it, and must be the last all the same.
    pool.append(pool[index_of(value)])
    return pool
