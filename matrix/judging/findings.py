"""Findings by what they are about, and what may be asked of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from matrix.model.plan import Part
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed

__all__ = ["FindingTable"]


class FindingTable:
    """Findings by cell, probe and channel; grows while a run goes on."""

    def __init__(self, findings: Iterable[Finding] = ()) -> None:
        self._known: dict[tuple[str, str, str], Finding] = {}
        self._seen: dict[tuple[str, str, bool], Finding] = {}
        self._contained: set[tuple[str, str, str]] = set()
        for finding in findings:
            self.add(finding)

    def add(self, finding: Finding, *, contained: bool = False) -> None:
        """Take a finding in; one about the same thing is replaced.

        `contained` says that its cell ran in a container.
        """
        key = finding.cell, finding.probe, finding.channel
        self._known[key] = finding
        (self._contained.add if contained else self._contained.discard)(key)
        if finding.shows is Observed.PRESENT:
            self._seen.setdefault((finding.probe, finding.channel, contained), finding)

    def of(self, part: Part, cell: str) -> Finding | None:
        """Return what is known of the part's channel in `cell`.

        For a part about containers that is unknown where the cell did not run in one.
        """
        key = cell, part.probe, part.channel
        found = self._known.get(key)
        if found is None or not part.contained or key in self._contained:
            return found
        if found.shows is Observed.UNKNOWN:
            return found  # its own reason is nearer
        return dataclasses.replace(
            found,
            shows=Observed.UNKNOWN,
            evidence="It ran on a machine itself, not in a container.",
            reason=Reason.DEPLOYMENT_NOT_HERE,
        )

    def first_control(self, part: Part) -> Finding | None:
        """Return the first of the part's controls that shows it, in the order to try them."""
        asked = part
        if part.control_channel:
            asked = dataclasses.replace(part, channel=part.control_channel, minimum="")
        for cell in part.controls:
            finding = self.of(asked, cell)
            if cell != asked.minimum and finding is not None and finding.shows is Observed.PRESENT:
                return finding
        return None

    def seen_anywhere(self, part: Part) -> Finding | None:
        """Return a cell where the part's channel showed: proof that the probe is able to see."""
        inside = self._seen.get((part.probe, part.channel, True))
        if inside is not None or part.contained:
            return inside
        return self._seen.get((part.probe, part.channel, False))

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._known.values())

    def __len__(self) -> int:
        return len(self._known)
