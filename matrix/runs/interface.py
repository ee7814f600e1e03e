"""Interfaces between a run and its surroundings: environments, runners and the clock.

Runs use them for cells on this machine, and workers of a cluster for theirs.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from matrix.environments.errors import BuildError
from matrix.model.capture import CellCapture
from matrix.model.environment import Environment
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason

Report = Callable[[str], None]
"""Takes a line of progress; called from several threads."""

STOPPED = "the run was stopped"
"""The detail of cells that did not end before their run was stopped."""
NOT_NEEDED = "no outcome could be changed by it any more when it was to begin"
"""The detail of cells that a run left out because it was asked for first answers only."""


class Environments(Protocol):
    """A source of environments; called from several threads."""

    def peek(self, planned: PlannedCell) -> Environment | str:
        """Return the environment where it is ready, quickly; raise BuildError.

        Where it is missing, return a text that identifies the requested one.
        """
        ...

    def ensure(self, planned: PlannedCell, report: Report) -> Environment:
        """Return the environment, built if need be; raise BuildError."""
        ...


@dataclasses.dataclass(frozen=True)
class CellRequest:
    """A cell to run: of those that wait for the same thing the one with the lowest `order` is next.

    `environment` is None, and `key` (of the result) empty, where the runner finds the environment.
    """

    order: int
    planned: PlannedCell
    environment: Environment | None
    key: str

    def require_environment(self) -> Environment:
        """Return the environment; raise ValueError where the request has none."""
        if self.environment is None:
            raise ValueError(f"{self.planned.cell} was requested without an environment")
        return self.environment


@dataclasses.dataclass(frozen=True)
class CellResult:
    """The end of a cell; `capture` is None where the result with this base is known already.

    `base` is the common part of the keys of results in the environment that the runner found, ""
    where it found none or had one from the request. `notice` is a warning about the environment.
    """

    capture: CellCapture | None
    base: str = ""
    notice: str = ""


class Runner(Protocol):
    """A place where cells run; every future ends once, with a result, whatever happens."""

    def submit(self, request: CellRequest, report: Report) -> Future[CellResult]:
        """Start a cell as soon as there is a place for it; `report` takes progress."""
        ...

    def kill(self) -> None:
        """End all running cells at once."""
        ...


class Clock(Protocol):
    """A source of time, so that tests can have their own."""

    def now(self) -> dt.datetime:
        """Return the time of day, with its zone."""
        ...

    def seconds(self) -> float:
        """Return seconds since a fixed start."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> dt.datetime:
        """Return the time of day in UTC."""
        return dt.datetime.now(tz=dt.timezone.utc)

    def seconds(self) -> float:
        """Return the monotonic clock."""
        return time.monotonic()


@dataclasses.dataclass(frozen=True)
class RunContext:
    """The surroundings of a run: at most `jobs` cells run and `builders` environments are built.

    `environments` is None where the runner finds environments itself, as a cluster does. `engine`
    is the container engine's name, "" where cells run on this machine. At most `emulated_jobs`
    cells for `emulated` targets run at a time. `place` describes where cells run on other machines.
    With `first_answer`, cells that can change no outcome any more are not run.
    """

    environments: Environments | None
    runner: Runner
    clock: Clock
    jobs: int = 2
    builders: int = 2
    engine: str = ""
    emulated: frozenset[str] = frozenset()
    emulated_jobs: int = 1
    place: str = ""
    first_answer: bool = False

    def iso_time(self) -> str:
        """Return the time of day, as captures have it."""
        return self.clock.now().isoformat(timespec="seconds")

    def engine_of(self, environment: Environment | None) -> str:
        """Return the name of the engine that runs the cell, "" for the machine itself."""
        return "" if environment is not None and environment.instead else self.engine


def capture_not_run(  # noqa: PLR0913 - all that is known of it
    planned: PlannedCell,
    key: str,
    reason: Reason,
    detail: str,
    *,
    started: str = "",
    seconds: float = 0.0,
    engine: str = "",
) -> CellCapture:
    """Return the capture of a cell that did not run, or not to its end."""
    capture = CellCapture(planned.cell.id, key, failed=reason, detail=detail, engine=engine)
    return dataclasses.replace(capture, started=started, seconds=seconds)


def capture_not_built(
    planned: PlannedCell, key: str, error: BuildError, started: str, engine: str
) -> CellCapture:
    """Return the capture of a cell without an environment, with the log of the failed build."""
    detail = f"{error.detail}\n{error.log}".rstrip()
    return capture_not_run(planned, key, error.reason, detail, started=started, engine=engine)
