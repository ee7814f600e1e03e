"""How long a cell is expected to take, from `data/durations.toml`.

Durations from what was recorded: a mean for each framework and library, and what more costs.

How long cells took, from recorded runs and journals.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from matrix.errors import UnreadableInputError
from matrix.model.cell import Cell
from matrix.model.plan import PlannedCell
from matrix.model.validate import cell_id, seconds, time
from matrix.runs.journal import Journal
from matrix.runs.record_reader import parse_record, read_content
from matrix.system.data_files import read_data

__all__ = [
    "CellDuration",
    "Durations",
    "cells_that_ran",
    "durations_toml",
    "fitted",
    "load_durations",
]

# However little is known of it, a cell starts a process.
_LEAST = 0.5


@dataclasses.dataclass(frozen=True)
class Durations:
    """Seconds: of a cell of a framework or library with one probe, of each `probe` more, of a soak.

    `cell` stands for frameworks and libraries that nobody measured.
    """

    cell: float
    probe: float
    soak: float
    frameworks: Mapping[str, float]

    def of(self, planned: PlannedCell) -> float:
        """Return how many seconds the cell is expected to take, once its environment is there."""
        base = self.frameworks.get(planned.cell.framework, self.cell)
        more = len(planned.probes) - 1 + (planned.repeats - 1) * len(planned.decisive)
        return max(_LEAST, math.fsum((base, more * self.probe, planned.soak * self.soak)))


def load_durations() -> Durations:
    """Return what was measured last, as it is committed."""
    data = read_data("durations")
    return Durations(data["cell"], data["probe"], data["soak"], data["frameworks"])


# A mean of few cells leans on that of all, as if so many cells more had taken that.
_LEANING = 2.0
_MEASURED = 2


@dataclasses.dataclass(frozen=True)
class CellDuration:
    """A cell that ran, with `probes` probes; `soak` is None where nobody says. Seconds."""

    cell: str
    target: str
    framework: str
    started: str
    probes: int
    soak: bool | None
    seconds: float


def fitted(ran: Iterable[CellDuration]) -> tuple[Durations, Sequence[CellDuration]]:
    """Return what is expected from now on, and the cells that it rests on: one at least is needed.

    They are those of the target that most ran for: how much slower another machine is says nothing
    of a cell. What was recorded in several places counts once. The order does not matter.
    """
    told = {(each.cell, each.started): each for each in sorted(ran, key=_most_told)}
    counts = Counter(each.target for each in told.values())
    target = min(counts, key=lambda name: (-counts[name], name))
    used = sorted((each for each in told.values() if each.target == target), key=_most_told)
    probe, soak = _more(used)
    bases: dict[str, list[float]] = {}
    for each in used:
        base = each.seconds - probe * (each.probes - 1) - soak * bool(each.soak)
        bases.setdefault(each.framework, []).append(base)
    cell = math.fsum(base for some in bases.values() for base in some) / len(used)
    frameworks = {
        name: round((math.fsum(some) + _LEANING * cell) / (len(some) + _LEANING), _MEASURED)
        for name, some in sorted(bases.items())
    }
    cell, probe, soak = (round(each, _MEASURED) for each in (cell, probe, soak))
    return Durations(cell, probe, soak, frameworks), used


def durations_toml(durations: Durations, used: Sequence[CellDuration]) -> str:
    """Return the text of the file."""
    first, last = (pick(each.started for each in used)[:10] for pick in (min, max))
    lines = [
        "# made by: python -m matrix plan --write-durations RECORD_OR_JOURNAL...",
        f"# from {len(used)} cells for {used[0].target} that ran from {first} to {last}.",
        "# Seconds: of a `cell` with one probe (each framework and library has its own below),",
        "# of each `probe` more, of a `soak`.",
        f"cell = {durations.cell}",
        f"probe = {durations.probe}",
        f"soak = {durations.soak}",
        "",
        "[frameworks]",
        *(f"{name} = {seconds}" for name, seconds in durations.frameworks.items()),
    ]
    return "\n".join(lines) + "\n"


def _most_told(each: CellDuration) -> tuple[object, ...]:
    # Of the same cell, that one comes last, and counts, which says most.
    said = each.soak is not None, bool(each.soak), each.probes, each.seconds
    return each.cell, each.started, *said


def _more(used: Sequence[CellDuration]) -> tuple[float, float]:
    """Return what a probe more and a soak cost: least squares within each framework or library."""
    of_framework: dict[str, list[tuple[float, float, float]]] = {}
    for each in used:
        if each.soak is not None:
            row = (float(each.probes), float(each.soak), each.seconds)
            of_framework.setdefault(each.framework, []).append(row)
    apart = []
    for rows in of_framework.values():
        middle = [math.fsum(column) / len(rows) for column in zip(*rows, strict=True)]
        apart += [[value - mean for value, mean in zip(row, middle, strict=True)] for row in rows]
    pp, ps, ss, pt, st = (
        math.fsum(row[one] * row[two] for row in apart)
        for one, two in ((0, 0), (0, 1), (1, 1), (0, 2), (1, 2))
    )
    area = pp * ss - ps * ps
    if area > 0:
        probe, soak = (pt * ss - ps * st) / area, (pp * st - ps * pt) / area
    else:
        probe, soak = (pt / pp if pp else 0.0), (st / ss if ss and not pp else 0.0)
    return max(0.0, probe), max(0.0, soak)


_REMEDY = "A run is in .matrix/records, and what it wrote as it went in .matrix/journal.jsonl."


def cells_that_ran(path: Path, say: Callable[[str], None]) -> list[CellDuration]:
    """Return the cells that a file tells of and that ran: none took no time.

    `say` gets what cannot be read of a journal. Raises `UnreadableInputError`, naming the file.
    """
    content = read_content(path)
    found = list(_of_journal(path, say) if _is_journal(content) else _of_record(content, path))
    if not found:
        raise UnreadableInputError(f"{path} tells of no cell that ran", _REMEDY)
    return found


def _is_journal(content: bytes) -> bool:
    """Return whether the first line is an entry by itself."""
    try:
        first = json.loads(content.split(b"\n", 1)[0])
    except (ValueError, RecursionError):
        return False
    return isinstance(first, dict) and "key" in first


def _of_journal(path: Path, say: Callable[[str], None]) -> Iterator[CellDuration]:
    reading = Journal(path).read()
    for remark in reading.remarks:
        say(remark)
    for entry in reading.entries.values():
        try:
            took, started = seconds(entry.seconds), time(entry.started)
            cell = Cell.parse(cell_id(entry.cell))
        except (TypeError, ValueError) as error:
            say(f"{path}: skipped an entry that tells of no cell ({error})")
            continue
        if took:
            soak = bool(entry.soak)
            yield CellDuration(
                cell.id, cell.target, cell.framework, started, len(entry.probes), soak, took
            )


def _of_record(content: bytes, path: Path) -> Iterator[CellDuration]:
    for line in parse_record(content, str(path)).cells:
        if line.seconds and line.started and line.probes:
            cell = Cell.parse(line.id)
            yield CellDuration(
                line.id,
                cell.target,
                cell.framework,
                line.started,
                len(line.probes),
                None,
                line.seconds,
            )
