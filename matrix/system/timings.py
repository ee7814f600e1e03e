"""The costs of a run by phases: seconds, and seconds of CPU time.

Each process adds up its own, `TIMINGS`; those of a worker go to the run with the capture.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from matrix.model.capture import Cost

# Phases. Those of a cell:
SANDBOX, CPU_WAIT, IDENTITY = "sandbox", "wait for a CPU", "identity"
BOOT, REQUESTS, RECORDING = "boot", "requests", "recording"
# Those of its environment, and those of the process of the run:
RESOLVE, BUILD, BYTE_CODE = "resolve", "build", "byte code"
PLAN, JUDGE, REPORT = "plan", "judge", "report"
OTHER = "other"
"""What the process of the run took besides: its start, the pipes to workers, the display."""
CELL_PHASES = (SANDBOX, CPU_WAIT, IDENTITY, BOOT, REQUESTS, RECORDING)
PHASES = (PLAN, RESOLVE, BUILD, BYTE_CODE, *CELL_PHASES, JUDGE, REPORT, OTHER)
"""In the order of a run."""


class _Open(threading.local):
    """The phases that a thread is in, the innermost last."""

    def __init__(self) -> None:
        self.phases: list[_Phase] = []


class _Phase:
    """A phase that is under way, and what of it belongs to phases within it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.inner_seconds = 0.0
        self.inner_cpu = 0.0


class Timings:
    """The costs of phases; safe for threads."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.thread_time,
        process_clock: Callable[[], float] = time.process_time,
    ) -> None:
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._process_clock = process_clock
        self._own_cpu = 0.0
        self._lock = threading.Lock()
        self._costs: dict[str, Cost] = {}
        self._open = _Open()

    def add(self, costs: Iterable[Cost]) -> None:
        """Add costs to those of their phases."""
        with self._lock:
            for cost in costs:
                self._costs[cost.phase] = self._costs.get(cost.phase, Cost(cost.phase)) + cost

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time of the block, and of this thread in it, to a phase.

        What a phase within it takes belongs to that one alone.
        """
        phase = _Phase(name)
        self._open.phases.append(phase)
        start, cpu_start = self._clock(), self._cpu_clock()
        try:
            yield
        finally:
            seconds, cpu = self._clock() - start, self._cpu_clock() - cpu_start
            self._open.phases.pop()
            own_cpu = cpu - phase.inner_cpu
            self.add([Cost(name, 1, seconds - phase.inner_seconds, own_cpu)])
            with self._lock:
                self._own_cpu += own_cpu
            if self._open.phases:
                self._open.phases[-1].inner_seconds += seconds
                self._open.phases[-1].inner_cpu += cpu

    def add_cpu(self, seconds: float | None) -> None:
        """Add the CPU time of another process to the innermost phase of this thread, if any.

        None is for a process of which it is not known.
        """
        if seconds and self._open.phases:
            self.add([Cost(self._open.phases[-1].name, cpu_seconds=seconds)])

    def add_rest(self, name: str, seconds: float = 0.0) -> None:
        """Add the CPU time of this process that belongs to no phase yet."""
        with self._lock:
            total = self._process_clock()
            rest, self._own_cpu = total - self._own_cpu, total
        self.add([Cost(name, 1, seconds, rest)])

    def take(self) -> tuple[Cost, ...]:
        """Return the costs so far in the order of a run, and begin anew."""
        with self._lock:
            costs, self._costs = self._costs, {}
        return tuple(costs[phase] for phase in PHASES if phase in costs)


TIMINGS = Timings()
"""The costs of this process."""
