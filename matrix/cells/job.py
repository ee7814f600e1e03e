"""The job of a worker: one cell, its files, its limits, and the deadline that they make."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from matrix.docker.interface import Confinement, ContainerEngine
from matrix.kubernetes.interface import RunNamespace
from matrix.model.capture import Cost
from matrix.model.environment import Image
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.service import Service
from matrix.probes.integrations import LIBRARY, module_name, module_path
from matrix.probes.shops import shop_folder
from matrix.system.cpu_slots import CpuSlots, cpu_count
from matrix.system.paths import apps_dir, fixtures_dir
from matrix.system.timings import CPU_WAIT, TIMINGS

# Runnable processes for each CPU that a run makes by itself: two cells, some of their processes.
_OWN_LOAD = 3.0
_LONGEST_FACTOR = 10.0


def app_of(framework: str, apps: Path, *, library: bool = False) -> str | None:
    """Return the argument of `serve.py` in the folder `apps` for a cell's framework, None for a
    framework without an app. With `library` it is the module of an integration's row.
    """
    if not library and shop_folder(framework).is_dir():
        return framework
    return f"{LIBRARY}{module_name(framework)}" if module_path(framework, apps).is_file() else None


@dataclasses.dataclass(frozen=True)
class Limits:
    """Time limits in seconds, and sizes. A time limit is the longest wait for a condition.

    `start` is for the app's ready line, `request` for one response, `first_span` for the span of
    the warm-up request, `span` for those of later requests, `first_poll` for the first poll of a
    remote configuration client, `acknowledge` for its acknowledgement of a version, `effect` for
    the effect of that version, `silence` for spans that are not expected, `identity` for the start
    of the sandbox and for its identity, `stop` from SIGTERM to SIGKILL (all expected spans have
    arrived by then; a tracer's clean-up takes some tenths), `cell` for everything together.
    `agent_bytes` bounds the recorded agent requests of a process; with less than `free_bytes` free
    on the disk, the results of a cell do not count.
    """

    start: float = 60.0
    request: float = 15.0
    first_span: float = 6.0
    span: float = 3.0
    first_poll: float = 6.0
    acknowledge: float = 8.0
    effect: float = 4.0
    silence: float = 0.5
    identity: float = 30.0
    stop: float = 2.0
    cell: float = 240.0
    agent_bytes: int = 20_000_000
    free_bytes: int = 16_000_000

    def times(self, factor: float) -> Limits:
        """Return the limits with every time multiplied by `factor`; sizes stay."""
        waits = {
            field.name: getattr(self, field.name) * factor
            for field in dataclasses.fields(self)
            if not field.name.endswith("_bytes")
        }
        return dataclasses.replace(self, **waits)

    def for_load(self, load: float) -> Limits:
        """Return the limits on a machine with so many runnable processes for each CPU.

        Beyond what a run makes by itself every wait takes longer in proportion.
        """
        factor = min(max(load / _OWN_LOAD, 1.0), _LONGEST_FACTOR)
        return self if factor == 1.0 else self.times(factor)

    def for_untraced(self) -> Limits:
        """Return the limits for a process that sends no spans, for which a wait never ends early.

        `silence` is five intervals of the writer (DD_TRACE_WRITER_INTERVAL_SECONDS); spans were
        observed to arrive at most one interval after the last request. A later span is recorded
        too: the process is stopped by SIGTERM while the agent listens, and from 0.61 to 4.16 the
        tracer then sends its buffer, also with an interval of 30 s.
        """
        return dataclasses.replace(self, first_span=0.0, span=self.silence)


def load_per_cpu() -> float:
    """Return the mean number of runnable processes for each CPU in the last minute, 0 if unknown.

    https://docs.python.org/3/library/os.html#os.getloadavg
    """
    if sys.platform == "win32":
        return 0.0
    try:
        return os.getloadavg()[0] / cpu_count()
    except OSError:
        return 0.0


@dataclasses.dataclass(frozen=True)
class CellJob:
    """One cell to run. Picklable.

    `python` is the environment's interpreter, `lock` its distributions, `key` the key of the
    capture. `probes` are the declarations; those that do not run in the cell's framework are
    skipped. `repeats` is how often a decisive channel that fails may run in all (one that succeeds
    runs as often as the plan says), `parallel` how many processes of the cell run at once. The
    cell's folder is made in `scratch` (None for the system's temporary folder) and kept if `keep`
    is set.

    A cell with an `image` runs in a container. `connect` (picklable, called once for each cell)
    returns the engine that starts it, with `tree`, the environment with the key `tree_key`, mounted
    as the image's site, confined by `confinement`. `services` are reached by ports of the sandbox.
    With `bare` nothing but the bare control is run: all requests, without the tracer. A cell with a
    `cluster` is run as a whole in that namespace. One that is `offline` fetches nothing. Its
    interpreters boot in the `slots` of the machine.
    """

    planned: PlannedCell
    key: str
    python: Path
    lock: tuple[str, ...]
    probes: tuple[Probe, ...]
    repeats: int = 3
    parallel: int = 3
    soak_requests: int = 150
    limits: Limits = Limits()
    apps: Path = dataclasses.field(default_factory=apps_dir)
    fixtures: Path = dataclasses.field(default_factory=lambda: fixtures_dir() / "cell")
    scratch: Path | None = None
    keep: bool = False
    image: Image | None = None
    tree: Path | None = None
    tree_key: str = ""
    connect: Callable[[], ContainerEngine] | None = None
    confinement: Confinement = dataclasses.field(default_factory=Confinement)
    services: tuple[Service, ...] = ()
    bare: bool = False
    cluster: RunNamespace | None = None
    offline: bool = False
    slots: CpuSlots | None = None

    @property
    def framework(self) -> str:
        """The framework or library under test."""
        return self.planned.cell.framework

    def hold_cpu(self) -> contextlib.AbstractContextManager[float]:
        """Hold a CPU of the machine for a boot; yields how many seconds it was waited for."""
        return contextlib.nullcontext(0.0) if self.slots is None else self.slots.hold()

    def app(self, *, library: bool = False) -> str | None:
        """Return the argument of `serve.py`, None if there is neither an app nor a module for it.

        A framework with both has the module for the `library`'s own probe.
        """
        return app_of(self.framework, self.apps, library=library)


class Deadline:
    """The end of a cell's time, which bounds all of its waits."""

    def __init__(self, seconds: float) -> None:
        """Set it `seconds` from now."""
        self._at = time.monotonic() + seconds
        self._lock = threading.Lock()

    def extend(self, seconds: float) -> None:
        """Move it by the time of a wait for a CPU, which is not the cell's own."""
        with self._lock:
            self._at += seconds
        TIMINGS.add([Cost(CPU_WAIT, 1, seconds)])

    @property
    def passed(self) -> bool:
        """True when no time remains."""
        return self.remaining() <= 0

    def remaining(self, at_most: float = float("inf")) -> float:
        """Return how many seconds remain, between 0 and `at_most`."""
        return max(0.0, min(self._at - time.monotonic(), at_most))
