"""A table of findings, by cell, probe and channel."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator

from matrix.agent.crashes import Tally
from matrix.judging.crashes import CrashCount, counts_of
from matrix.model.cell import Cell
from matrix.model.fact import FactKind, fact
from matrix.model.plan import Part
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed


class FindingTable:
    """Findings by cell, probe and channel; grows while a run goes on."""

    def __init__(self, findings: Iterable[Finding] = ()) -> None:
        self._findings: dict[tuple[Cell, str, str], Finding] = {}
        self._present: dict[tuple[str, str, bool], Finding] = {}
        self._present_cells: dict[tuple[str, str, Cell], list[Finding]] = defaultdict(list)
        self._contained: set[tuple[Cell, str, str]] = set()
        self._counted: dict[tuple[Cell, str, str], list[CrashCount]] = defaultdict(list)
        for finding in findings:
            self.add(finding)

    def add(self, finding: Finding, *, contained: bool = False) -> None:
        """Add a finding, in place of an earlier one about the same thing.

        `contained` is whether its cell ran in a container.
        """
        key = finding.cell, finding.probe, finding.channel
        self._findings[key] = finding
        (self._contained.add if contained else self._contained.discard)(key)
        if finding.shows is Observed.PRESENT:
            self._present.setdefault((finding.probe, finding.channel, contained), finding)
            environment = finding.probe, finding.channel, _environment(finding.cell)
            self._present_cells[environment].append(finding)

    def get(self, part: Part, cell: Cell) -> Finding | None:
        """Return the finding on the part's channel in `cell`, None where there is none.

        For a part about containers that is unknown where the cell did not run in one.
        """
        key = cell, part.probe, part.channel
        finding = self._findings.get(key)
        if finding is None or not part.contained or key in self._contained:
            return finding
        if finding.shows is Observed.UNKNOWN:
            return finding  # its own reason is nearer
        return dataclasses.replace(
            finding,
            shows=Observed.UNKNOWN,
            facts=(fact(FactKind.NOT_CONTAINED),),
            reason=Reason.DEPLOYMENT_NOT_HERE,
        )

    def add_counts(self, finding: Finding) -> None:
        """Add only the counts of crashes of a finding, whose cell was run again for them."""
        key = finding.cell, finding.probe, finding.channel
        self._counted[key] += counts_of(finding)

    def died_there(self, part: Part, cell: Cell, subject: str) -> Tally | None:
        """Return how many processes died in another cell of the part, None where none was counted.

        They were counted because some died there, too, or for the sake of the comparison.
        """
        key = cell, part.probe, part.channel
        counts = [*counts_of(self._findings.get(key)), *self._counted.get(key, ())]
        return next((each.on for each in counts if each.subject == subject), None)

    def first_control(self, part: Part) -> Finding | None:
        """Return the first of the part's controls that shows it, in the order to try them.

        Of a library's row, another release of the library under the same tracer and CPython is as
        good a control: the ones next to the range, and those in it that were run for other parts.
        """
        channel = part.control_channel or part.channel
        on_channel = dataclasses.replace(part, channel=channel)
        cells = list(part.controls)
        if part.pick:
            cells += [*(cell for cell in (part.before, part.above) if cell), *part.later]
        for cell in cells:
            finding = self.get(on_channel, cell)
            own = cell == part.minimum and not part.control_channel
            if not own and finding is not None and finding.shows is Observed.PRESENT:
                return finding
        return self._sibling(on_channel) if part.pick and not part.control_channel else None

    def _sibling(self, part: Part) -> Finding | None:
        """Return the lowest release of the part's library that shows it in its environment."""
        environment = _environment(part.minimum)
        siblings = [
            finding
            for finding in self._present_cells.get((part.probe, part.channel, environment), ())
            if finding.cell != part.minimum and self.get(part, finding.cell) is finding
        ]
        return min(siblings, key=lambda finding: finding.cell.sort_key, default=None)

    def control_beside(self, part: Part) -> Finding | None:
        """Return a finding that shows the part's channel with the same release on another target,
        or outside of its place.

        None where nothing is known of the wheels for its own: then it may be missing by chance.
        """
        if not part.lacking and not part.minimum.place:
            return None
        known = (self.get(part, cell) for cell in part.beside)
        return next((item for item in known if item and item.shows is Observed.PRESENT), None)

    def seen_anywhere(self, part: Part) -> Finding | None:
        """Return a cell where the part's channel showed: proof that the probe is able to see."""
        inside = self._present.get((part.probe, part.channel, True))
        if inside is not None or part.contained:
            return inside
        return self._present.get((part.probe, part.channel, False))

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._findings.values())


def _environment(cell: Cell) -> Cell:
    """Return the cell without its library's release: equal for all releases on a tracer."""
    return dataclasses.replace(cell, framework_version="0")
