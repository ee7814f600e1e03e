"""Threads that build environments ahead of the cells, in the order of the cells."""

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
from matrix.runs.interface import Clock, Environments, Report

_FIRST = -1_000_000_000  # before any cell


@dataclasses.dataclass(frozen=True)
class BuildResult:
    """The environment of one cell, or the error that its build ended with."""

    order: int
    outcome: Environment | BuildError
    seconds: float


class Builders:
    """Daemon threads, so that one that is stuck in a download does not keep the program alive."""

    def __init__(
        self,
        environments: Environments,
        done: Callable[[BuildResult], None],
        clock: Clock,
        count: int,
        report: Report,
    ) -> None:
        self.environments = environments
        self._done = done
        self._clock = clock
        self._count = count
        self._report = report
        self._requests: queue.PriorityQueue[tuple[int, PlannedCell | None]] = queue.PriorityQueue()
        self._threads: list[threading.Thread] = []
        self._stopped = threading.Event()
        self._withdrawn: set[int] = set()

    def request(self, order: int, planned: PlannedCell) -> None:
        """Build the environment of a cell; `order` is unique, the lowest is built first."""
        self._requests.put((order, planned))
        if len(self._threads) < self._count:
            name = f"environments-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def withdraw(self, order: int) -> None:
        """Build no environment for a cell any more, unless that has begun."""
        self._withdrawn.add(order)

    def stop(self) -> None:
        """Begin no other build, and end idle threads."""
        self._stopped.set()
        for number in range(len(self._threads)):
            self._requests.put((_FIRST - number, None))

    def _work(self) -> None:
        while True:
            order, planned = self._requests.get()
            if planned is None or self._stopped.is_set():
                return
            if order in self._withdrawn:
                continue
            start = self._clock.seconds()
            outcome: Environment | BuildError
            try:
                outcome = self.environments.ensure(planned, self._report)
            except BuildError as error:
                outcome = error
            except Exception as error:  # noqa: BLE001 - a failure of one cell must not end the run
                detail = f"{type(error).__name__}: {error}"
                outcome = BuildError(Reason.INTERNAL_ERROR, detail, traceback.format_exc())
            self._done(BuildResult(order, outcome, self._clock.seconds() - start))
