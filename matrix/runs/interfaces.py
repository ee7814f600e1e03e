"""The narrow seams between the engine and the world; tests put fakes here."""

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

__all__ = ["Clock", "Environments", "FarRunner", "RemoteResult", "Runner", "SystemClock", "Tell"]

Tell = Callable[[str], None]
"""Takes a progress line; called from several threads."""


class Environments(Protocol):
    """Makes environments; called from several threads."""

    def name(self, planned: PlannedCell) -> str:
        """Return a text that stands for what is asked for; raise BuildError."""
        ...

    def peek(self, planned: PlannedCell) -> Environment | None:
        """Return the environment where it is ready, quickly; raise BuildError."""
        ...

    def ensure(self, planned: PlannedCell, tell: Tell) -> Environment:
        """Return the environment, built if need be; raise BuildError. `tell` takes progress."""
        ...


class Runner(Protocol):
    """Runs cells elsewhere; every future it gives ends, with a capture, whatever happens."""

    def submit(
        self, planned: PlannedCell, environment: Environment, key: str
    ) -> Future[CellCapture]:
        """Start a cell."""
        ...

    def kill(self) -> None:
        """End all that runs, at once."""
        ...


@dataclasses.dataclass(frozen=True)
class RemoteResult:
    """How a cell ended elsewhere, where its environment was found, too.

    `base` is what the keys of its results in that environment have in common, "" where it came to
    no machine. `capture` is None where the result with this base is known already. `instead` is
    what is to be known of its environment.
    """

    base: str
    capture: CellCapture | None
    instead: str = ""


class FarRunner(Protocol):
    """Runs cells on other machines; every future it gives ends, once, whatever happens."""

    def submit(self, order: int, planned: PlannedCell, tell: Tell) -> Future[RemoteResult]:
        """Start a cell where it fits, as soon as that is free; the least `order` goes first.

        `tell` takes what becomes of the other machines.
        """
        ...

    def kill(self) -> None:
        """End all that runs, at once."""
        ...


class Clock(Protocol):
    """Time, so that tests have their own."""

    def now(self) -> dt.datetime:
        """Return the time of day, with its zone."""
        ...

    def seconds(self) -> float:
        """Return seconds from any start that does not move."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> dt.datetime:
        """Return the time of day in UTC."""
        return dt.datetime.now(tz=dt.timezone.utc)

    def seconds(self) -> float:
        """Return the monotonic clock."""
        return time.monotonic()
