"""What happens in a run, as it happens; displays and tests read nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from matrix.model.plan import Plan
from matrix.model.reason import Reason
from matrix.model.verdict import Verdict

__all__ = [
    "CellFinished",
    "CellStarted",
    "ControlAdded",
    "Emit",
    "EnvironmentFailed",
    "EnvironmentReady",
    "Event",
    "Message",
    "RunFinished",
    "RunStarted",
    "VerdictReached",
    "WarningRaised",
]


@dataclasses.dataclass(frozen=True)
class RunStarted:
    """The plan is about to be run, `jobs` cells at a time, or judged again from captures, where
    `jobs` is 0; `engine` is the container engine's name, "" where cells run on this machine.
    `place` says it in words where that is on other machines.
    """

    plan: Plan
    jobs: int
    engine: str = ""
    place: str = ""


@dataclasses.dataclass(frozen=True)
class EnvironmentReady:
    """The environment of a cell was built (or found) after so many seconds."""

    cell: str
    seconds: float


@dataclasses.dataclass(frozen=True)
class EnvironmentFailed:
    """The environment of a cell could not be had."""

    cell: str
    reason: Reason
    detail: str


@dataclasses.dataclass(frozen=True)
class ControlAdded:
    """A further release is run as positive control: those before it could not serve."""

    cell: str
    claim: str


@dataclasses.dataclass(frozen=True)
class CellStarted:
    """A cell began to run."""

    cell: str


@dataclasses.dataclass(frozen=True)
class CellFinished:
    """A cell ended: observed (`reason` None) or not, just now or in an earlier run (`reused`)."""

    cell: str
    reason: Reason | None
    detail: str
    seconds: float
    reused: bool


@dataclasses.dataclass(frozen=True)
class VerdictReached:
    """All cells of a claim are in."""

    verdict: Verdict


@dataclasses.dataclass(frozen=True)
class WarningRaised:
    """Something the user must know and that does not stop the run."""

    message: str


@dataclasses.dataclass(frozen=True)
class Message:
    """Something that takes its time has come so far: an image is made."""

    message: str


@dataclasses.dataclass(frozen=True)
class RunFinished:
    """The run ended; `interrupted` where it was stopped before all cells had ended."""

    interrupted: bool


Event = (
    RunStarted
    | EnvironmentReady
    | EnvironmentFailed
    | ControlAdded
    | CellStarted
    | CellFinished
    | VerdictReached
    | WarningRaised
    | Message
    | RunFinished
)
Emit = Callable[[Event], None]
