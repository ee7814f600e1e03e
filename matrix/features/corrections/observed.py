"""Recorded findings by environment and release, from which minimums are corrected.

They include every capture ever recorded, judged by today's rules, also of cells that are in no
plan: those of a search for a minimum, for example.
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
from matrix.runs.journal import Journal
from matrix.runs.result_store import CaptureStore

# A probe's channel, and the CPython, target and framework of the cell. The framework's release is
# not part of the key: each release of the tracer has the framework of its time.
_Key: TypeAlias = tuple[str, str, str, str, str]


@dataclasses.dataclass(frozen=True)
class KnownMinimum:
    """The first release that was observed to work.

    `exact` is set where the release right before it was observed to fail; otherwise `release` is
    an upper bound. `fails` is the newest release below it that was observed to fail, "" if none
    was. `findings` are the evidence.
    """

    release: str
    exact: bool
    fails: str
    findings: tuple[Finding, ...]


class ObservedFindings:
    """All findings of a run, or of everything recorded.

    `releases` are the final releases of the tracer, ascending; without them no minimum is exact.
    """

    def __init__(self, findings: Iterable[Finding], releases: Sequence[str] = ()) -> None:
        self.findings = tuple(findings)
        self._releases = [Version(release) for release in releases]
        self._by_key: dict[_Key, dict[Version, list[Finding]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for finding in self.findings:
            cell = finding.cell
            by_release = self._by_key[_key(finding.probe, finding.channel, cell)]
            by_release[Version(cell.ddtrace)].append(finding)

    def minimum(
        self,
        required: Iterable[PartVerdict],
        optional: Iterable[PartVerdict],
        above: Version | None = None,
        below: Version | None = None,
    ) -> KnownMinimum | None:
        """Return the first release in which all `required` parts were observed to work.

        A release in which an `optional` part was observed to fail, though it works in a later one,
        does not count: it would only break that promise instead. None where there is no release.
        """
        needed = list(dict.fromkeys(_part_key(part) for part in required))
        others = list(dict.fromkeys(_part_key(part) for part in optional))
        candidates = sorted({release for key in needed for release in self._by_key[key]})
        for release in candidates:
            if (above is not None and release <= above) or (below and release >= below):
                continue
            if all(self._shows(key, release) is Observed.PRESENT for key in needed) and not any(
                self._breaks(key, release) for key in others
            ):
                return self._known_minimum(release, needed)
        return None

    def _known_minimum(self, release: Version, keys: Sequence[_Key]) -> KnownMinimum:
        findings = [finding for key in keys for finding in self._by_key[key][release]]
        failing = [
            (version, of_version)
            for key in keys
            for version, of_version in self._by_key[key].items()
            if version < release and self._shows(key, version) is Observed.ABSENT
        ]
        fails = max((version for version, _ in failing), default=None)
        for version, of_version in failing:
            if version == fails:
                findings += of_version
        before = max((other for other in self._releases if other < release), default=None)
        return KnownMinimum(
            findings[0].cell.ddtrace,
            exact=fails is not None and fails == before,
            fails=str(fails) if fails is not None else "",
            findings=tuple(findings),
        )

    def _shows(self, key: _Key, release: Version) -> Observed:
        """Return the observation for a release; a single failure means that it does not work."""
        shown = {finding.shows for finding in self._by_key.get(key, {}).get(release, ())}
        if Observed.ABSENT in shown:
            return Observed.ABSENT
        return Observed.PRESENT if Observed.PRESENT in shown else Observed.UNKNOWN

    def _breaks(self, key: _Key, release: Version) -> bool:
        return self._shows(key, release) is Observed.ABSENT and any(
            later > release and self._shows(key, later) is Observed.PRESENT
            for later in self._by_key.get(key, {})
        )


def refuted_parts(parts: Iterable[PartVerdict]) -> list[PartVerdict]:
    """Return the parts that are refuted."""
    return [part for part in parts if part.outcome is Outcome.REFUTED]


def recorded_findings(
    journal: Journal,
    captures: CaptureStore,
    probes: Mapping[str, Probe],
    accepts: Callable[[CellCapture], bool] = lambda _capture: True,
) -> tuple[Finding, ...]:
    """Return the newest finding of each cell, probe and channel, of the captures that count.

    A transient one, such as a lack of memory, hides no lasting one.
    """
    newest: dict[tuple[Cell, str, str], Finding] = {}
    entries = journal.read().entries.values()
    for entry in sorted(entries, key=lambda entry: not entry.transient):
        capture = captures.read(entry.cell, entry.key)
        if capture is None or not accepts(capture):
            continue
        for finding in findings_of(capture, entry.probes, probes):
            if finding.reason is not Reason.NOT_RUN:
                newest[finding.cell, finding.probe, finding.channel] = finding
    return tuple(newest.values())


def _part_key(part: PartVerdict) -> _Key:
    return _key(part.probe, part.channel, part.cells[0])


def _key(probe: str, channel: str, cell: Cell) -> _Key:
    return probe, channel, cell.python, cell.target, cell.framework
