"""Durations from what was recorded: a mean for each framework and library, and what more costs."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Sequence

from matrix.sharding.durations import Durations

__all__ = ["Took", "durations_toml", "fitted"]

# A mean of few cells leans on that of all, as if so many cells more had taken that.
_LEANING = 2.0
_MEASURED = 2


@dataclasses.dataclass(frozen=True)
class Took:
    """A cell that ran, with `probes` probes; `soak` is None where nobody says. Seconds."""

    cell: str
    target: str
    framework: str
    started: str
    probes: int
    soak: bool | None
    seconds: float


def fitted(ran: Iterable[Took]) -> tuple[Durations, Sequence[Took]]:
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


def durations_toml(durations: Durations, used: Sequence[Took]) -> str:
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


def _most_told(each: Took) -> tuple[object, ...]:
    # Of the same cell, that one comes last, and counts, which says most.
    said = each.soak is not None, bool(each.soak), each.probes, each.seconds
    return each.cell, each.started, *said


def _more(used: Sequence[Took]) -> tuple[float, float]:
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
