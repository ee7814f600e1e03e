"""What was seen in which release, by environment: the ground that minimums are corrected on.

Everything that was ever captured, judged by today's rules: also cells that no plan asks for.

A search for a least release leaves its cells here.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from packaging.version import Version

from matrix.judging.cells import findings_of
from matrix.model.capture import CellCapture
from matrix.model.cell import Cell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed, Outcome, PartVerdict
from matrix.runs.captures import CaptureStore
from matrix.runs.journal import Journal

__all__ = ["KnownMinimum", "ObservedFindings", "recorded_findings", "refuted"]

# A probe's channel, and the CPython, the target and the framework that it was tried on. Which
# release of the framework is not part of it: every release of the tracer has that of its time.
_Key: TypeAlias = tuple[str, str, str, str, str]


@dataclasses.dataclass(frozen=True)
class KnownMinimum:
    """The least release that was seen to work.

    `exact` is set where the release right before it was seen to fail; else `release` is an upper
    bound: one that was not tried may work too. `fails` is the newest release below it that was
    seen to fail, "" where none was. `findings` are what it rests on.
    """

    release: str
    exact: bool
    fails: str
    findings: tuple[Finding, ...]


class ObservedFindings:
    """All findings of a run, or of all that were recorded.

    `releases` are the final releases of the tracer, ascending; without them no minimum is exact.
    """

    def __init__(self, findings: Iterable[Finding], releases: Sequence[str] = ()) -> None:
        self.findings = tuple(findings)
        self._releases = [Version(release) for release in releases]
        self._by: dict[_Key, dict[Version, list[Finding]]] = defaultdict(lambda: defaultdict(list))
        for finding in self.findings:
            cell = Cell.parse(finding.cell)
            self._by[_key(finding.probe, finding.channel, cell)][Version(cell.ddtrace)].append(
                finding
            )

    def minimum(
        self,
        must: Iterable[PartVerdict],
        may: Iterable[PartVerdict],
        above: Version | None = None,
        below: Version | None = None,
    ) -> KnownMinimum | None:
        """Return the least release that all parts that `must` work were seen to work with.

        The parts that `may` not be seen to fail there and to work in a later release: that would
        only break the promise elsewhere. None where no release was seen to do so.
        """
        needed = list(dict.fromkeys(_key_of(part) for part in must))
        others = list(dict.fromkeys(_key_of(part) for part in may))
        candidates = sorted({release for key in needed for release in self._by[key]})
        for release in candidates:
            if (above is not None and release <= above) or (below and release >= below):
                continue
            if all(self._shows(key, release) is Observed.PRESENT for key in needed) and not any(
                self._breaks(key, release) for key in others
            ):
                return self._known(release, needed)
        return None

    def _known(self, release: Version, keys: Sequence[_Key]) -> KnownMinimum:
        findings = [finding for key in keys for finding in self._by[key][release]]
        failing = [
            (version, found)
            for key in keys
            for version, found in self._by[key].items()
            if version < release and self._shows(key, version) is Observed.ABSENT
        ]
        fails = max((version for version, _ in failing), default=None)
        findings += [finding for version, found in failing if version == fails for finding in found]
        before = max((each for each in self._releases if each < release), default=None)
        return KnownMinimum(
            Cell.parse(findings[0].cell).ddtrace,
            exact=fails is not None and fails == before,
            fails=str(fails) if fails is not None else "",
            findings=tuple(findings),
        )

    def _shows(self, key: _Key, release: Version) -> Observed:
        """Return what a release showed; one that did not show once does not work."""
        shown = {finding.shows for finding in self._by.get(key, {}).get(release, ())}
        if Observed.ABSENT in shown:
            return Observed.ABSENT
        return Observed.PRESENT if Observed.PRESENT in shown else Observed.UNKNOWN

    def _breaks(self, key: _Key, release: Version) -> bool:
        return self._shows(key, release) is Observed.ABSENT and any(
            later > release and self._shows(key, later) is Observed.PRESENT
            for later in self._by.get(key, {})
        )


def refuted(parts: Iterable[PartVerdict]) -> list[PartVerdict]:
    """Return the parts that are refuted."""
    return [part for part in parts if part.outcome is Outcome.REFUTED]


def _key_of(part: PartVerdict) -> _Key:
    return _key(part.probe, part.channel, Cell.parse(part.cells[0]))


def _key(probe: str, channel: str, cell: Cell) -> _Key:
    return probe, channel, cell.python, cell.target, cell.framework


def recorded_findings(
    journal: Journal,
    captures: CaptureStore,
    probes: Mapping[str, Probe],
    counts: Callable[[CellCapture], bool] = lambda _capture: True,
) -> tuple[Finding, ...]:
    """Return what the captures that count show, the newest of each cell, probe and channel.

    One that tells of its moment only, such as a lack of memory, hides none that lasts.
    """
    found: dict[tuple[str, str, str], Finding] = {}
    entries = journal.read().entries.values()
    for entry in sorted(entries, key=lambda entry: not entry.transient):
        capture = captures.read(entry.cell, entry.key)
        if capture is None or not counts(capture):
            continue
        for finding in findings_of(capture, entry.probes, probes):
            if finding.reason is not Reason.NOT_RUN:
                found[finding.cell, finding.probe, finding.channel] = finding
    return tuple(found.values())
