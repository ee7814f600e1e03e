"""Expected durations of cells: read from `data/durations.toml`, and fitted from recorded runs.

The model is a mean for each framework and library, and a price for each further probe and a soak.
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
from matrix.runs.record_store import parse_record, read_content
from matrix.system.data_files import read_data

# The shortest estimate: every cell starts a process.
_MIN_SECONDS = 0.5
# The mean of a framework with few cells leans on that of all, as if it had this many cells more.
_PRIOR_CELLS = 2.0
_DECIMALS = 2


@dataclasses.dataclass(frozen=True)
class Durations:
    """Seconds: of a cell with one probe by framework or library, of a further `probe`, of a `soak`.

    `cell` is for frameworks and libraries without a measurement.
    """

    cell: float
    probe: float
    soak: float
    frameworks: Mapping[str, float]

    def estimate(self, planned: PlannedCell) -> float:
        """Return the expected seconds of the cell once its environment is ready."""
        base = self.frameworks.get(planned.cell.framework, self.cell)
        more = len(planned.probes) - 1 + (planned.repeats - 1) * len(planned.decisive)
        return max(_MIN_SECONDS, math.fsum((base, more * self.probe, planned.soak * self.soak)))


def load_durations() -> Durations:
    """Return the committed durations."""
    return Durations(**read_data("durations"))


@dataclasses.dataclass(frozen=True)
class CellDuration:
    """The seconds of a cell that ran `probes` probes; `soak` is None where it is not recorded."""

    cell: Cell
    started: str
    probes: int
    soak: bool | None
    seconds: float


def fit_durations(measured: Iterable[CellDuration]) -> tuple[Durations, Sequence[CellDuration]]:
    """Return durations fitted to the measurements (at least one), and those that were used.

    Only those of the target with the most cells are used, as another machine's speed says nothing
    about a cell. A cell that was recorded in several places counts once. The order does not matter.
    """
    ordered = sorted(measured, key=_detail_order)
    unique = {(item.cell, item.started): item for item in ordered}.values()
    counts = Counter(item.cell.target for item in unique)
    target = min(counts, key=lambda name: (-counts[name], name))
    used = sorted((item for item in unique if item.cell.target == target), key=_detail_order)
    probe, soak = _fit_probe_and_soak(used)
    bases: dict[str, list[float]] = {}
    for item in used:
        base = item.seconds - probe * (item.probes - 1) - soak * bool(item.soak)
        bases.setdefault(item.cell.framework, []).append(base)
    cell = math.fsum(base for values in bases.values() for base in values) / len(used)
    frameworks = {
        name: round(
            (math.fsum(values) + _PRIOR_CELLS * cell) / (len(values) + _PRIOR_CELLS), _DECIMALS
        )
        for name, values in sorted(bases.items())
    }
    cell, probe, soak = (round(value, _DECIMALS) for value in (cell, probe, soak))
    return Durations(cell, probe, soak, frameworks), used


def format_durations(durations: Durations, used: Sequence[CellDuration]) -> str:
    """Return the text of `durations.toml`."""
    first, last = (pick(item.started for item in used)[:10] for pick in (min, max))
    lines = [
        "# made by: python -m matrix plan --write-durations RECORD_OR_JOURNAL...",
        f"# from {len(used)} cells for {used[0].cell.target} that ran from {first} to {last}.",
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


def _detail_order(item: CellDuration) -> tuple[object, ...]:
    """Return a sort key that puts the most detailed record of the same cell last."""
    detail = item.soak is not None, bool(item.soak), item.probes, item.seconds
    return item.cell.id, item.started, *detail


def _fit_probe_and_soak(used: Sequence[CellDuration]) -> tuple[float, float]:
    """Return the seconds of a further probe and of a soak: least squares within each framework."""
    by_framework: dict[str, list[tuple[float, float, float]]] = {}
    for item in used:
        if item.soak is not None:
            row = (float(item.probes), float(item.soak), item.seconds)
            by_framework.setdefault(item.cell.framework, []).append(row)
    centred = []
    for rows in by_framework.values():
        means = [math.fsum(column) / len(rows) for column in zip(*rows, strict=True)]
        centred += [[value - mean for value, mean in zip(row, means, strict=True)] for row in rows]
    pp, ps, ss, pt, st = (
        math.fsum(row[i] * row[j] for row in centred)
        for i, j in ((0, 0), (0, 1), (1, 1), (0, 2), (1, 2))
    )
    determinant = pp * ss - ps * ps
    if determinant > 0:
        probe, soak = (pt * ss - ps * st) / determinant, (pp * st - ps * pt) / determinant
    else:
        probe, soak = (pt / pp if pp else 0.0), (st / ss if ss and not pp else 0.0)
    return max(0.0, probe), max(0.0, soak)


_REMEDY = "A run is in .matrix/records, and what it wrote as it went in .matrix/journal.jsonl."


def read_cell_durations(path: Path, report: Callable[[str], None]) -> list[CellDuration]:
    """Return the cells in a record or journal that took time.

    `report` gets the lines of a journal that cannot be read. Raises `UnreadableInputError`, naming
    the file.
    """
    content = read_content(path)
    parse = _from_journal(path, report) if _is_journal(content) else _from_record(content, path)
    durations = list(parse)
    if not durations:
        raise UnreadableInputError(f"{path} has no cell that ran", _REMEDY)
    return durations


def _is_journal(content: bytes) -> bool:
    """Return whether the first line is a journal entry."""
    try:
        first = json.loads(content.split(b"\n", 1)[0])
    except (ValueError, RecursionError):
        return False
    return isinstance(first, dict) and "key" in first


def _from_journal(path: Path, report: Callable[[str], None]) -> Iterator[CellDuration]:
    journal = Journal(path).read()
    for remark in journal.remarks:
        report(remark)
    for entry in journal.entries.values():
        try:
            duration, started = seconds(entry.seconds), time(entry.started)
            cell = Cell.parse(cell_id(entry.cell))
        except (TypeError, ValueError) as error:
            report(f"{path}: skipped an entry without a valid cell ({error})")
            continue
        if duration:
            probes, soak = len(entry.probes), bool(entry.soak)
            yield CellDuration(cell, started, probes, soak, duration)


def _from_record(content: bytes, path: Path) -> Iterator[CellDuration]:
    for line in parse_record(content, str(path)).cells:
        if line.seconds and line.started and line.probes:
            yield CellDuration(line.cell, line.started, len(line.probes), None, line.seconds)
