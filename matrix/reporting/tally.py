"""What the events of a run add up to so far; displays show it."""

from __future__ import annotations

from collections import Counter

from matrix.model.claim import Claim
from matrix.model.verdict import Outcome
from matrix.verify.events import (
    CellFinished,
    CellStarted,
    ControlAdded,
    Event,
    RunStarted,
    VerdictReached,
)

__all__ = ["Tally"]


class Tally:
    """Counts; `claims` are those of the plan by id, `untried` how many of them no cell covers."""

    def __init__(self) -> None:
        self.total = 0
        self.done = 0
        self.reused = 0
        self.jobs = 1
        self.running: dict[str, None] = {}
        self.verdicts: Counter[Outcome] = Counter()
        self.claims: dict[str, Claim] = {}
        self.untried = 0
        self._seconds = 0.0
        self._ran = 0

    def take(self, event: Event) -> None:
        """Count an event."""
        match event:
            case RunStarted():
                self.total = len(event.plan.cells)
                self.jobs = max(event.jobs, 1)
                self.claims = {claim.id: claim for claim in event.plan.claims}
                tried = {part.claim for part in event.plan.parts}
                self.untried = sum(claim not in tried for claim in self.claims)
            case ControlAdded():
                self.total += 1
            case CellStarted():
                self.running[event.cell] = None
            case CellFinished():
                self._finish(event)
            case VerdictReached():
                self.verdicts[event.verdict.outcome] += 1
            case _:
                pass

    @property
    def seconds_left(self) -> float | None:
        """The cells that are left at the pace of those that ran; None before one has."""
        if not self._ran:
            return None
        left = max(self.total - self.done, 0)
        return left * (self._seconds / self._ran) / self.jobs

    @property
    def line(self) -> str:
        """Everything in a line."""
        words = [f"{self.done} of {self.total} cells"]
        if self.running:
            words.append(f"{len(self.running)} running")
        if self.reused:
            words.append(f"{self.reused} reused")
        if self.seconds_left is not None and self.done < self.total:
            words.append(f"about {_clock(self.seconds_left)} left")
        words += [
            f"{self.verdicts[outcome]} {outcome.value}"
            for outcome in (Outcome.REFUTED, Outcome.CONFIRMED, Outcome.UNVERIFIED)
            if self.verdicts[outcome]
        ]
        return ", ".join(words)

    def _finish(self, event: CellFinished) -> None:
        self.running.pop(event.cell, None)
        self.done += 1
        if event.reused:
            self.reused += 1
        elif event.seconds:
            self._ran += 1
            self._seconds += event.seconds


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
