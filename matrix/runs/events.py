"""Events of a run, for displays and tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from matrix.model.plan import Plan
from matrix.model.reason import Reason
from matrix.model.verdict import Verdict


@dataclasses.dataclass(frozen=True)
class RunStarted:
    """A run begins, `jobs` cells at a time, or, where `jobs` is 0, captures are judged again.

    `engine` is the container engine's name, "" where cells run on this machine. `place` describes
    other machines that run them.
    """

    plan: Plan
    jobs: int
    engine: str = ""
    place: str = ""


@dataclasses.dataclass(frozen=True)
class EnvironmentRequested:
    """The environment of a cell is missing, and will be built."""

    cell: str


@dataclasses.dataclass(frozen=True)
class EnvironmentReady:
    """The environment of a cell was built or found after so many seconds."""

    cell: str
    seconds: float


@dataclasses.dataclass(frozen=True)
class EnvironmentFailed:
    """The environment of a cell could not be built."""

    cell: str
    reason: Reason
    detail: str


@dataclasses.dataclass(frozen=True)
class ControlAdded:
    """A further release runs as a positive control: no earlier one could serve."""

    cell: str
    claim: str


@dataclasses.dataclass(frozen=True)
class CellStarted:
    """A cell began to run."""

    cell: str


@dataclasses.dataclass(frozen=True)
class CellFinished:
    """A cell ended, in this run or in an earlier one (`reused`); `reason` is None if observed."""

    cell: str
    reason: Reason | None
    detail: str
    seconds: float
    reused: bool


@dataclasses.dataclass(frozen=True)
class VerdictReached:
    """All cells of a claim have ended."""

    verdict: Verdict


@dataclasses.dataclass(frozen=True)
class WarningRaised:
    """A warning to the user, which does not stop the run."""

    message: str


@dataclasses.dataclass(frozen=True)
class Message:
    """Progress of something that takes long, such as making an image."""

    message: str


@dataclasses.dataclass(frozen=True)
class RunFinished:
    """The run ended; `interrupted` where it was stopped before all cells had ended."""

    interrupted: bool


Event = (
    RunStarted
    | EnvironmentRequested
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
