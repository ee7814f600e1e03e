"""Threads that make environments ahead of the cells, the first wanted first."""

from __future__ import annotations

import dataclasses
import queue
import threading
import traceback
from collections.abc import Callable

from matrix.environments.errors import BuildError
from matrix.model.environment import Environment
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.runs.interfaces import Clock, Environments, Tell

__all__ = ["BuildResult", "Builders"]

_FIRST = -1_000_000_000  # before any cell


@dataclasses.dataclass(frozen=True)
class BuildResult:
    """The answer for one cell: an environment, or why there is none."""

    order: int
    environment: Environment | None
    failure: BuildError | None
    seconds: float


class Builders:
    """Daemon threads: one that is stuck in a download does not keep the program from ending."""

    def __init__(
        self,
        environments: Environments,
        done: Callable[[BuildResult], None],
        clock: Clock,
        count: int,
        tell: Tell,
    ) -> None:
        self._environments = environments
        self._done = done
        self._clock = clock
        self._count = count
        self._tell = tell
        self._wanted: queue.PriorityQueue[tuple[int, PlannedCell | None]] = queue.PriorityQueue()
        self._threads: list[threading.Thread] = []
        self._stopped = threading.Event()

    def want(self, order: int, planned: PlannedCell) -> None:
        """Ask for the environment of a cell; `order` (unique) says which comes first."""
        self._wanted.put((order, planned))
        if len(self._threads) < self._count:
            name = f"environments-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Begin nothing new; let idle threads end."""
        self._stopped.set()
        for number in range(len(self._threads)):
            self._wanted.put((_FIRST - number, None))

    def _work(self) -> None:
        while True:
            order, planned = self._wanted.get()
            if planned is None or self._stopped.is_set():
                return
            start = self._clock.seconds()
            environment, failure = None, None
            try:
                environment = self._environments.ensure(planned, self._tell)
            except BuildError as error:
                failure = error
            except Exception as error:  # noqa: BLE001 - one cell's surprise is not the run's
                said = f"{type(error).__name__}: {error}"
                failure = BuildError(Reason.INTERNAL_ERROR, said, traceback.format_exc())
            self._done(BuildResult(order, environment, failure, self._clock.seconds() - start))
