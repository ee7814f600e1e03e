"""Where a library's documented minimum does not build or start: which release does, and where.

A part stays unverified then, whatever a later release shows: what did not run is not confirmed. It
is only said what does run. First the same release is tried on the CPythons between those asked,
then later releases on its own by bisection. Whether a release builds is not monotone: the answer is
the lowest of those tried, and what was not tried is said.

Which fallback controls a run still needs, and which claims have all their cells in.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from packaging.version import Version

from matrix.judging.findings import FindingTable
from matrix.model.cell import Cell
from matrix.model.plan import Part
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed, Outcome, Verdict

__all__ = [
    "NOWHERE",
    "UNUSABLE",
    "FallbackFacts",
    "Waiting",
    "next_step",
    "stepped",
    "waits_for",
    "with_nowhere",
]

# What tells that a release cannot be installed or imported.
UNUSABLE = frozenset(
    {
        Reason.BROKEN_START,
        Reason.BUILD_FAILED,
        Reason.CRASHED,
        Reason.NO_RELEASE,
        Reason.NO_WHEEL,
        Reason.REQUIRES_PYTHON,
        Reason.WRONG_INSTALL,
    }
)
# What is said of a row whose minimum is of no use anywhere.
NOWHERE = "can be installed and imported on no CPython that was tried"
# So many later releases are tried; where the ladder has 15 rungs, four find the lowest.
_TRIES = 5


@dataclasses.dataclass(frozen=True)
class FallbackFacts:
    """What is said of the steps, "" where there were none, and the cells of it."""

    said: str
    cells: tuple[str, ...]


def unusable(finding: Finding | None) -> bool:
    """Return whether a cell's finding is that the release cannot be used there."""
    return finding is not None and finding.reason in UNUSABLE


def next_step(part: Part, known: FindingTable, ended: AbstractSet[tuple[str, str]]) -> str | None:
    """Return the next cell to try where the minimum cannot be used, None where there is none."""
    if not unusable(known.of(part, part.minimum)):
        return None
    for cell in part.elsewhere:
        finding = known.of(part, cell)
        if _usable(finding):
            break
        if finding is None and (cell, part.probe) not in ended:
            return cell
    return _next_rung(part, known, ended)


def _next_rung(part: Part, known: FindingTable, ended: AbstractSet[tuple[str, str]]) -> str | None:
    rungs = part.rungs
    untried = [known.of(part, cell) is None and (cell, part.probe) not in ended for cell in rungs]
    if untried.count(False) >= _TRIES + 1 or not rungs:
        return None
    low, high = _bounds(part, known)
    if high == len(rungs):
        # None is seen to work yet: the newest most likely does, then the one in the middle.
        asked = [each for each in (high - 1, high // 2) if untried[each]]
        return rungs[asked[0]] if asked else None
    open_ones = [each for each in range(low + 1, high) if untried[each]]
    return rungs[open_ones[len(open_ones) // 2]] if open_ones else None


def _bounds(part: Part, known: FindingTable) -> tuple[int, int]:
    """Return the place of the next rung below that fails, and that of the lowest seen to work.

    One of which nothing was told, such as for want of time, does neither.
    """
    found = [known.of(part, cell) for cell in part.rungs]
    high = next((place for place, each in enumerate(found) if _usable(each)), len(found))
    failing = [place for place in range(high) if unusable(found[place])]
    return (failing[-1] if failing else -1), high


def stepped(part: Part, known: FindingTable) -> FallbackFacts:
    """Return what was seen of other CPythons and later releases; the minimum cannot be used."""
    said: list[str] = []
    cells: list[str] = []
    elsewhere = [found for cell in part.elsewhere if (found := known.of(part, cell))]
    cells += [found.cell for found in elsewhere]
    able = next((found for found in elsewhere if _usable(found)), None)
    if able is not None:
        said.append(f"On CPython {Cell.parse(able.cell).python} it does, and {_shows(able)}.")
    tried = [found for cell in part.rungs if (found := known.of(part, cell))]
    cells += [found.cell for found in tried]
    low, high = _bounds(part, known)
    if high < len(part.rungs):
        lowest = known.of(part, part.rungs[high])
        assert lowest is not None  # noqa: S101 - `high` is a place where there is one
        gap = _gap(part, known, low, high)
        how = "seen to install" if gap else "that installs"
        name = release(lowest.cell)
        said.append(f"The lowest {how}{_on(part)} is {name}, {_that_shows(lowest)}{gap}.")
    elif failing := list(filter(unusable, tried)):
        said.append(f"No later release that was tried does{_on(part)} ({_names(failing)}).")
    return FallbackFacts(" ".join(said), tuple(cells))


def with_nowhere(verdict: Verdict, parts: Sequence[Part], known: FindingTable) -> Verdict:
    """Return the verdict, which says so where a row's minimum can be used on no CPython tried."""
    lows = _documented(parts)
    if not lows or verdict.outcome is Outcome.CONFIRMED:
        return verdict
    cells = dict.fromkeys(cell for part in lows for cell in (part.minimum, *part.elsewhere))
    found = [each for cell in cells if (each := known.of(lows[0], cell)) is not None]
    if not all(unusable(known.of(part, part.minimum)) for part in lows) or any(map(_usable, found)):
        return verdict
    failed = [each for each in found if unusable(each)]
    pythons = dict.fromkeys(Cell.parse(each.cell).python for each in failed)
    said = f"{release(lows[0].minimum)} {NOWHERE} ({', '.join(sorted(pythons, key=_key))})"
    if verdict.outcome is not Outcome.UNVERIFIED:
        return dataclasses.replace(verdict, remarks=(*verdict.remarks, said))
    first = known.of(lows[0], lows[0].minimum)
    steps = dict.fromkeys(text for part in lows if (text := stepped(part, known).said))
    assert first is not None  # noqa: S101 - it is unusable
    chosen = [f"({lows[0].said})"] if lows[0].said else []
    evidence = " ".join([f"{said}: {first.evidence}", *steps, *chosen])
    return dataclasses.replace(verdict, reason=first.reason, evidence=evidence)


def _documented(parts: Sequence[Part]) -> list[Part]:
    """Return the parts at the documented minimum: not those that had to begin with a later one."""
    lows = [part for part in parts if part.pick == "lowest"]
    versions = [Version(Cell.parse(part.minimum).framework_version) for part in lows]
    least = min(versions, default=None)
    return [part for part, version in zip(lows, versions, strict=True) if version == least]


def release(cell: str) -> str:
    """Return `redis 2.6.0` for a cell of a library."""
    parsed = Cell.parse(cell)
    return f"{parsed.framework} {parsed.framework_version}"


def _usable(finding: Finding | None) -> bool:
    return finding is not None and finding.shows is not Observed.UNKNOWN


def _shows(finding: Finding) -> str:
    return "shows it" if finding.shows is Observed.PRESENT else "does not show it"


def _that_shows(finding: Finding) -> str:
    return f"which {_shows(finding)}"


def _on(part: Part) -> str:
    return f" on CPython {Cell.parse(part.minimum).python}"


def _gap(part: Part, known: FindingTable, low: int, high: int) -> str:
    between = part.rungs[low + 1 : high]
    if not between:
        return ""
    last = release(part.rungs[low] if low >= 0 else part.minimum)
    tried = any(known.of(part, cell) for cell in between)
    said = "of what lies between nothing is known" if tried else "between them was not tried"
    return f" ({last} does not; {said})"


def _names(found: Sequence[Finding]) -> str:
    return ", ".join(Cell.parse(each.cell).framework_version for each in found)


def _key(python: str) -> tuple[int, ...]:
    return tuple(map(int, python.split(".")))


# What is waited for: a cell and the probe that is to run in it.
Waiting = tuple[str, str]


def waits_for(part: Part, known: FindingTable, ended: AbstractSet[Waiting]) -> str | None:
    """Return the next control to step back to, or None where the part needs none.

    Only an ABSENT minimum does: no control changes the answer of one that crashed or did not start.
    A control that has ended is not asked for again, also when it gave no finding. Controls are
    asked for one by one: the newest first. Where a library's release cannot be used, it is asked
    which one can (`stepping`).
    """
    if cell := next_step(part, known, ended):
        return cell
    minimum = known.of(part, part.minimum)
    if minimum is None or minimum.shows is not Observed.ABSENT or part.holds_without:
        return None
    for cell in part.controls:
        if cell == part.minimum:
            continue
        finding = known.of(part, cell)
        if finding is not None and finding.shows is Observed.PRESENT:
            return None
        if finding is None and (cell, part.probe) not in ended:
            return cell
    return None
