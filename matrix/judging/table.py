"""Findings by what they are about, and what may be asked of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from matrix.model.plan import Part
from matrix.model.verdict import Finding, Shows

__all__ = ["FindingTable"]


class FindingTable:
    """Findings by cell, probe and channel; grows while a run goes on."""

    def __init__(self, findings: Iterable[Finding] = ()) -> None:
        self._known: dict[tuple[str, str, str], Finding] = {}
        self._seen: dict[tuple[str, str], Finding] = {}
        for finding in findings:
            self.add(finding)

    def add(self, finding: Finding) -> None:
        """Take a finding in; one about the same thing is replaced."""
        self._known[finding.cell, finding.probe, finding.channel] = finding
        if finding.shows is Shows.PRESENT:
            self._seen.setdefault((finding.probe, finding.channel), finding)

    def of(self, part: Part, cell: str) -> Finding | None:
        """Return what is known of the part's channel in `cell`."""
        return self._known.get((cell, part.probe, part.channel))

    def first_control(self, part: Part) -> Finding | None:
        """Return the first of the part's controls that shows it, in the order to try them."""
        for cell in part.controls:
            finding = self.of(part, cell)
            if cell != part.minimum and finding is not None and finding.shows is Shows.PRESENT:
                return finding
        return None

    def seen_anywhere(self, part: Part) -> Finding | None:
        """Return a cell where the part's channel showed: proof that the probe is able to see."""
        return self._seen.get((part.probe, part.channel))

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._known.values())

    def __len__(self) -> int:
        return len(self._known)
