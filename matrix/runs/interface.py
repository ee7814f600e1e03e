"""Interfaces between a run and its surroundings: environments, runners and the clock."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from matrix.model.capture import CellCapture
from matrix.model.environment import Environment
from matrix.model.plan import PlannedCell

Report = Callable[[str], None]
"""Takes a line of progress; called from several threads."""


class Environments(Protocol):
    """A source of environments; called from several threads."""

    def name(self, planned: PlannedCell) -> str:
        """Return a text that identifies the requested environment; raise BuildError."""
        ...

    def peek(self, planned: PlannedCell) -> Environment | None:
        """Return the environment where it is ready, quickly; raise BuildError."""
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
