"""What was seen in which release, by environment: the ground that minimums are corrected on."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from packaging.version import Version

from matrix.model.cell import Cell
from matrix.model.verdict import Finding, Outcome, PartVerdict, Shows

__all__ = ["KnownMinimum", "Seen", "refuted"]

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


class Seen:
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
            if all(self._shows(key, release) is Shows.PRESENT for key in needed) and not any(
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
            if version < release and self._shows(key, version) is Shows.ABSENT
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

    def _shows(self, key: _Key, release: Version) -> Shows:
        """Return what a release showed; one that did not show once does not work."""
        shown = {finding.shows for finding in self._by.get(key, {}).get(release, ())}
        if Shows.ABSENT in shown:
            return Shows.ABSENT
        return Shows.PRESENT if Shows.PRESENT in shown else Shows.UNKNOWN

    def _breaks(self, key: _Key, release: Version) -> bool:
        return self._shows(key, release) is Shows.ABSENT and any(
            later > release and self._shows(key, later) is Shows.PRESENT
            for later in self._by.get(key, {})
        )


def refuted(parts: Iterable[PartVerdict]) -> list[PartVerdict]:
    """Return the parts that are refuted."""
    return [part for part in parts if part.outcome is Outcome.REFUTED]


def _key_of(part: PartVerdict) -> _Key:
    return _key(part.probe, part.channel, Cell.parse(part.cells[0]))


def _key(probe: str, channel: str, cell: Cell) -> _Key:
    return probe, channel, cell.python, cell.target, cell.framework
