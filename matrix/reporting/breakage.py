"""The one line and the commands for a promise that the tracer breaks by breaking the app."""

from __future__ import annotations

import dataclasses

from matrix.judging.sentences import breakage_line
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome, PartVerdict, Verdict


@dataclasses.dataclass(frozen=True)
class BrokenApp:
    """A refutation, in one line without a full stop; `cell` is the id of one that shows it."""

    line: str
    cell: str

    @property
    def commands(self) -> tuple[str, str]:
        """The commands that show it by hand: under the tracer, and without it."""
        command = f"nox -s reproduce -- {self.cell}"
        return f"{command} --run", f"{command} --bare --run"


def breakage_of(verdict: Verdict | PartVerdict) -> BrokenApp | None:
    """Return how the tracer breaks the app, None where that is not why a promise is refuted."""
    if verdict.outcome is not Outcome.REFUTED or verdict.reason is not Reason.BREAKS_APP:
        return None
    found = breakage_line(verdict.facts)
    return BrokenApp(found[1], found[0].id) if found else None
