"""Controls and fallbacks in reserve: the cells that a part still needs, and what they tell.

Where a library's documented minimum does not build or start, its part stays unverified, whatever a
later release shows: what did not run is not confirmed. Only what does run is reported. First the
same release is tried on the CPythons between those of the plan, then later releases on its own by
bisection. Whether a release builds is not monotone: the answer is the lowest of those tried, and
what was not tried is named.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from packaging.version import Version

from matrix.judging.crashes import suspicious_count
from matrix.judging.findings import FindingTable
from matrix.model.cell import Cell
from matrix.model.fact import Fact, FactKind, fact
from matrix.model.plan import CrashSubject, Omission, Part
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed, Outcome, Verdict

# Reasons that tell that a release cannot be installed or imported.
UNUSABLE = frozenset(
    {
        Reason.APP_FAILS,
        Reason.BROKEN_START,
        Reason.BUILD_FAILED,
        Reason.CRASHED,
        Reason.DOES_NOT_IMPORT,
        Reason.NO_RELEASE,
        Reason.NO_WHEEL,
        Reason.REQUIRES_PYTHON,
        Reason.SYSTEM_LIBRARY,
        Reason.WRONG_INSTALL,
    }
)
_NOT_INSTALLED = frozenset(
    {Reason.BUILD_FAILED, Reason.NO_RELEASE, Reason.NO_WHEEL, Reason.REQUIRES_PYTHON}
)
# So many later releases are tried; where there are 15, four find the lowest.
_MOST_TRIES = 5

EndedProbe = tuple[Cell, str]
"""A cell and a probe in it."""


@dataclasses.dataclass(frozen=True)
class FallbackFacts:
    """Facts on the fallbacks that were run, and their cells; both empty where there were none."""

    facts: tuple[Fact, ...]
    cells: tuple[Cell, ...]


def next_control(part: Part, findings: FindingTable, ended: AbstractSet[EndedProbe]) -> Cell | None:
    """Return the next control or fallback to run, None where the part needs none.

    Only an ABSENT minimum needs a control: none changes the answer of one that crashed or did not
    start. One that has ended is not run again, also when it gave no finding. They are run one by
    one, the newest first; those beside a part come before all, and where one shows it no other is
    needed.
    """
    if cell := _next_fallback(part, findings, ended):
        return cell
    minimum = findings.get(part, part.minimum)
    if minimum is None or minimum.shows is not Observed.ABSENT or part.expects_absent:
        return None
    for cell in (*part.beside, *part.controls):
        if cell == part.minimum:
            continue
        finding = findings.get(part, cell)
        if finding is not None and finding.shows is Observed.PRESENT:
            return None
        if finding is None and (cell, part.probe) not in ended:
            return cell
    return None


def next_count(
    part: Part, findings: FindingTable, ended: AbstractSet[tuple[Cell, str]]
) -> tuple[Cell, CrashSubject] | None:
    """Return the cell at another release in which processes must be counted, None without need.

    That is the first control that ran, where more processes die at the minimum than with the
    feature off. `ended` are cells with the names of subjects that were counted in them.
    """
    minimum = findings.get(part, part.minimum)
    if minimum is None or minimum.reason is not Reason.UNSTABLE:
        return None
    if (here := suspicious_count(minimum)) is None:
        return None
    for cell in part.controls:
        if cell == part.minimum or findings.get(part, cell) is None:
            continue
        there = findings.died_there(part, cell, here.subject)
        if there is not None and there.count:
            return None
        if (cell, here.subject) not in ended:
            return cell, CrashSubject(here.subject, here.setting, here.processes)
    return None


def fallback_facts(part: Part, findings: FindingTable) -> FallbackFacts:
    """Return what other CPythons and later releases showed; the minimum cannot be used."""
    elsewhere = [finding for cell in part.elsewhere if (finding := findings.get(part, cell))]
    later = [finding for cell in part.later if (finding := findings.get(part, cell))]
    facts = []
    usable = next((finding for finding in elsewhere if _usable(finding)), None)
    if usable is not None:
        facts.append(fact(FactKind.WORKS_ON_PYTHON, usable.cell, shows=usable.shows.value))
    low, high = _bounds(part, findings)
    unusable = [finding for finding in later if _unusable(finding)]
    if high < len(part.later):
        lowest = findings.get(part, part.later[high])
        assert lowest is not None  # noqa: S101 - `high` is the index of one
        gap = _gap(part, findings, low, high)
        facts.append(fact(FactKind.LOWEST_USABLE, lowest.cell, shows=lowest.shows.value, facts=gap))
    elif unusable:
        versions = tuple(finding.cell.framework_version for finding in unusable)
        facts.append(fact(FactKind.NO_LATER_USABLE, part.minimum, versions=versions))
    return FallbackFacts(tuple(facts), tuple(item.cell for item in (*elsewhere, *later)))


def without_ruled_out(
    parts: Sequence[Part], findings: FindingTable
) -> tuple[list[Part], list[Fact], list[Omission]]:
    """Return the parts without the combinations that the first bare import rules out.

    Where a release of a library does not import on a CPython, also without the tracer, the promise
    cannot be about it: its other CPythons decide. Those are the ones of other parts, or those that
    were tried instead (`elsewhere`), of which the first that works takes the part's place. Where
    there is none, the part stays. The facts and the omissions tell what was left out.
    """
    remaining, facts, omissions = [], [], []
    for part in parts:
        finding = findings.get(part, part.minimum)
        if finding is None or finding.reason is not Reason.DOES_NOT_IMPORT:
            remaining.append(part)
            continue
        instead = [cell for cell in part.elsewhere if _usable(findings.get(part, cell))]
        if not instead and not any(_is_same_elsewhere(part, other, findings) for other in parts):
            remaining.append(part)
            continue
        if instead:
            # Its controls are on the other CPython.
            own = (instead[0],)
            remaining.append(
                dataclasses.replace(part, minimum=own[0], before=None, above=None, controls=own)
            )
        facts.append(fact(FactKind.RULED_OUT, part.minimum, facts=finding.facts))
        omissions.append(Omission(part.claim, part.minimum.id, Reason.DOES_NOT_IMPORT))
    return (
        list(dict.fromkeys(remaining)),
        list(dict.fromkeys(facts)),
        list(dict.fromkeys(omissions)),
    )


def _is_same_elsewhere(part: Part, other: Part, findings: FindingTable) -> bool:
    """Return whether another part asks the same of the same releases on a CPython that has them."""
    moved = dataclasses.replace(part.minimum, python=other.minimum.python)
    return (
        (other.probe, other.channel, other.minimum) == (part.probe, part.channel, moved)
        and other.minimum != part.minimum
        and not _unusable(findings.get(other, other.minimum))
    )


def with_unusable_minimum(
    verdict: Verdict, parts: Sequence[Part], findings: FindingTable
) -> Verdict:
    """Return the verdict; it tells where a row's minimum can be used on no CPython tried."""
    lowest = _at_documented_minimum(parts)
    if not lowest or verdict.outcome is Outcome.CONFIRMED:
        return verdict
    cells = dict.fromkeys(cell for part in lowest for cell in (part.minimum, *part.elsewhere))
    known = [item for cell in cells if (item := findings.get(lowest[0], cell)) is not None]
    if not all(_unusable(findings.get(part, part.minimum)) for part in lowest):
        return verdict
    if any(map(_usable, known)):
        return verdict
    failing = [item for item in known if _unusable(item)]
    reasons = {item.reason for item in failing}
    if Reason.SYSTEM_LIBRARY in reasons:
        return verdict  # That tells of this machine, not of the CPythons.
    fails = "start"
    if reasons <= _NOT_INSTALLED:
        fails = "install"
    elif reasons <= _NOT_INSTALLED | {Reason.DOES_NOT_IMPORT}:
        fails = "import"
    pythons = tuple(sorted({item.cell.python for item in failing}, key=Version))
    nowhere = fact(FactKind.USABLE_NOWHERE, lowest[0].minimum, pythons=pythons, fails=fails)
    if verdict.outcome is not Outcome.UNVERIFIED:
        return dataclasses.replace(verdict, remarks=(*verdict.remarks, nowhere))
    first = findings.get(lowest[0], lowest[0].minimum)
    assert first is not None  # noqa: S101 - it is unusable
    steps = [item for part in lowest for item in fallback_facts(part, findings).facts]
    choice = [fact(FactKind.CHOICE, text=lowest[0].choice)] if lowest[0].choice else []
    nowhere = dataclasses.replace(nowhere, facts=first.facts)
    facts = tuple(dict.fromkeys([nowhere, *steps, *choice]))
    return dataclasses.replace(verdict, reason=first.reason, facts=facts)


def _next_fallback(
    part: Part, findings: FindingTable, ended: AbstractSet[EndedProbe]
) -> Cell | None:
    """Return the next cell to try where the minimum cannot be used, None where there is none."""
    if not _unusable(findings.get(part, part.minimum)):
        return None
    for cell in part.elsewhere:
        finding = findings.get(part, cell)
        if _usable(finding):
            break
        if finding is None and (cell, part.probe) not in ended:
            return cell
    return _next_later(part, findings, ended)


def _next_later(part: Part, findings: FindingTable, ended: AbstractSet[EndedProbe]) -> Cell | None:
    later = part.later
    untried = [
        findings.get(part, cell) is None and (cell, part.probe) not in ended for cell in later
    ]
    if untried.count(False) >= _MOST_TRIES + 1 or not later:
        return None
    low, high = _bounds(part, findings)
    if high == len(later):
        # None is known to work yet: the newest most likely does, then the one in the middle.
        candidates = [index for index in (high - 1, high // 2) if untried[index]]
        return later[candidates[0]] if candidates else None
    between = [index for index in range(low + 1, high) if untried[index]]
    return later[between[len(between) // 2]] if between else None


def _bounds(part: Part, findings: FindingTable) -> tuple[int, int]:
    """Return the indexes of the next later release below that fails and of the lowest that works.

    One that nothing is known of, such as for want of time, does neither.
    """
    known = [findings.get(part, cell) for cell in part.later]
    high = next((index for index, item in enumerate(known) if _usable(item)), len(known))
    failing = [index for index in range(high) if _unusable(known[index])]
    return (failing[-1] if failing else -1), high


def _gap(part: Part, findings: FindingTable, low: int, high: int) -> list[Fact]:
    between = part.later[low + 1 : high]
    if not between:
        return []
    last = part.later[low] if low >= 0 else part.minimum
    tried = any(findings.get(part, cell) for cell in between)
    return [fact(FactKind.GAP, last, tried=int(tried))]


def _at_documented_minimum(parts: Sequence[Part]) -> list[Part]:
    """Return the parts at the documented minimum: not those that had to begin with a later one."""
    lowest = [part for part in parts if part.pick == "lowest"]
    versions = [Version(part.minimum.framework_version) for part in lowest]
    least = min(versions, default=None)
    return [part for part, version in zip(lowest, versions, strict=True) if version == least]


def _unusable(finding: Finding | None) -> bool:
    return finding is not None and finding.reason in UNUSABLE


def _usable(finding: Finding | None) -> bool:
    return finding is not None and finding.shows is not Observed.UNKNOWN
