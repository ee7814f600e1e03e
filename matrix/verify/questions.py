"""Asks releases by running their cells: the oracle of a search, for all channels of a probe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from matrix.model.plan import Plan
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Shows
from matrix.planning.quests import Quest
from matrix.searching import Answer, Reply
from matrix.verify.engine import Engine, World
from matrix.verify.events import Emit
from matrix.verify.keeping import Keeping
from matrix.verify.result import CellRecord

__all__ = ["Questions", "reply_of"]

_PROFILE = "minimum"
# The run ended before the release could answer.
_UNANSWERED = frozenset({Reason.INTERRUPTED, Reason.ENGINE_LOST, Reason.CLUSTER_LOST})
_ANSWERS = {
    Shows.PRESENT: Answer.WORKS,
    Shows.ABSENT: Answer.FAILS,
    Shows.UNKNOWN: Answer.CANNOT_TELL,
}


def reply_of(finding: Finding | None) -> Reply:
    """Return what a finding says of its release.

    It works where the channel showed and its negative control was silent, and fails where it did
    not show in any repeat of a process that lived.
    """
    if finding is None:
        return Reply(Answer.CANNOT_TELL, Reason.NOT_RUN.value)
    reason = f"{finding.reason.value}: " if finding.reason else ""
    return Reply(_ANSWERS[finding.shows], f"{reason}{finding.evidence}")


class Questions:
    """Runs cells of searches, each release once; what the journal has is not run again."""

    def __init__(
        self, probes: Mapping[str, Probe], world: World, keeping: Keeping, emit: Emit
    ) -> None:
        self._probes = probes
        self._world = world
        self._keeping = keeping
        self._emit = emit
        self._halt: Callable[[], None] = _nothing
        self.stopped = False
        self.lost = ""
        self.warnings: dict[str, None] = {}

    @property
    def over(self) -> bool:
        """Return whether nothing more can be asked."""
        return self.stopped or bool(self.lost)

    def stop(self) -> None:
        """Ask nothing more, keeping what is done; safe in a signal handler."""
        self.stopped = True
        self._halt()

    def ask(self, quest: Quest, releases: Sequence[str]) -> tuple[CellRecord, ...]:
        """Return how the cells of these releases ended, without those that could not end."""
        cells = tuple(quest.cells[release] for release in releases)
        plan = Plan(_PROFILE, quest.snapshot, (), (), cells, (), (), (quest.target,))
        engine = Engine(plan, self._probes, self._world, self._keeping, self._emit)
        self._halt = engine.stop
        if self.over:
            return ()
        result = engine.run()
        self.stopped = self.stopped or result.interrupted
        self.lost = self.lost or result.lost
        self.warnings.update(dict.fromkeys(result.warnings))
        return tuple(record for record in result.cells if record.reason not in _UNANSWERED)


def _nothing() -> None:
    """Stand in for an engine before there is one."""
