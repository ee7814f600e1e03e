"""What a display tells at a time: verdicts that fall together, and nothing twice."""

from __future__ import annotations

from matrix.model.claim import Claim
from matrix.model.verdict import Verdict
from matrix.reporting.rows import Row, group
from matrix.verify.events import Event, RunStarted, VerdictReached

__all__ = ["Moments"]


class Moments:
    """Gathers verdicts until something else happens; several documents state the same fact.

    A claim that no cell covers is not told, nor is an answer to a fact that has been told: the
    report at the end has them all.
    """

    def __init__(self) -> None:
        self._claims: dict[str, Claim] = {}
        self._waiting: list[Verdict] = []
        self._told: set[object] = set()
        self._said: set[str] = set()

    def take(self, event: Event) -> list[Row]:
        """Return what is to be told before this event."""
        if isinstance(event, VerdictReached):
            if event.verdict.cells:
                self._waiting.append(event.verdict)
            return []
        if isinstance(event, RunStarted):
            self._claims = {claim.id: claim for claim in event.plan.claims}
        made = group((item for item in self._waiting if self._is_news(item)), self._claims)
        told = {self._answer(item) for item in self._waiting}
        self._waiting.clear()
        self._told |= told
        return made

    def is_new(self, detail: str) -> bool:
        """Return whether this is said for the first time: cells fail alike."""
        new = detail not in self._said
        self._said.add(detail)
        return new

    def _is_news(self, verdict: Verdict) -> bool:
        return self._answer(verdict) not in self._told

    def _answer(self, verdict: Verdict) -> tuple[object, ...]:
        return (self._claims[verdict.claim].fact, verdict.outcome, verdict.reason)
