"""What a worker is told: one cell, where its things lie, and how long anything may take.

The time a cell has left.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

from matrix.docker.interface import Confinement, ContainerEngine
from matrix.model.environment import Image
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.service import Service
from matrix.probes.integrations import LIBRARY, module_of
from matrix.system.paths import apps_dir, fixtures_dir

__all__ = ["CellJob", "Deadline", "Limits", "app_of"]

APPS = ("django", "flask")


def app_of(framework: str, apps: Path) -> str | None:
    """Return what `serve.py` in the folder `apps` is asked to serve for a cell's framework."""
    if framework in APPS:
        return framework
    return f"{LIBRARY}{framework}" if module_of(framework, apps).is_file() else None


@dataclasses.dataclass(frozen=True)
class Limits:
    """Time limits in seconds, and sizes. Each is the longest wait for a condition, not a pause.

    `start` is for the app's ready line, `request` for one answer, `first_span` for the span of the
    warm-up request, `span` for those of later requests, `first_poll` for the first poll of a remote
    configuration client, `acknowledge` for its word that it took a version over, `effect` for the
    effect of it to show after that, `silence` for spans where none is due, `identity` for the place
    to be there and for its word on who it is, `stop` from SIGTERM to SIGKILL (what is waited for
    has come by then, and a tracer's clean-up takes some tenths), `cell` for everything together.
    `agent_bytes` bounds what is kept of a process's agent requests; with less than `free_bytes` of
    the disk left a cell tells nothing of the release.
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
        """Return the limits where everything takes `factor` times as long; sizes stay."""
        waits = {
            field.name: getattr(self, field.name) * factor
            for field in dataclasses.fields(self)
            if not field.name.endswith("_bytes")
        }
        return dataclasses.replace(self, **waits)

    def where_untraced(self) -> Limits:
        """Return the limits for a process that sends no spans: nothing can end those waits early.

        `silence` is five intervals of the writer (DD_TRACE_WRITER_INTERVAL_SECONDS), and spans were
        seen at most one interval after the last request. It is not the last chance to see one: the
        process is stopped by SIGTERM while the agent listens, and from 0.61 to 4.16 the tracer then
        sends what it holds, also with an interval of 30 s.
        """
        return dataclasses.replace(self, first_span=0.0, span=self.silence)


@dataclasses.dataclass(frozen=True)
class CellJob:
    """One cell to run. Picklable.

    `python` is the environment's interpreter, `lock` what it holds, `key` what the capture is filed
    under. `probes` are the declarations; those that do not run in the cell's framework are passed
    over. `repeats` is how often a decisive channel may run in all where it fails (else as often as
    the plan says), `parallel` how many processes of the cell run at once. The scratch folder goes
    below `scratch` (None for the system's own place) and stays when `keep` is set.

    A cell with an `image` runs in a container, which an engine of `connect` (picklable, called once
    for each cell) starts: with `tree`, whose content is called `tree_key`, as the image's site, and
    held as `confinement` says. `services` are reached from inside by ports of the place's own.
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

    @property
    def framework(self) -> str:
        """What the cell is about: a sample app, or a library."""
        return self.planned.cell.framework

    @property
    def app(self) -> str | None:
        """What `serve.py` is to serve, None where there is neither an app nor a module for it."""
        return app_of(self.framework, self.apps)


class Deadline:
    """A moment that bounds every wait of a cell."""

    def __init__(self, seconds: float) -> None:
        """Set it `seconds` from now."""
        self._at = time.monotonic() + seconds

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        return self.left() <= 0

    def left(self, at_most: float = float("inf")) -> float:
        """Return how many seconds are left, 0 where none, never more than `at_most`."""
        return max(0.0, min(self._at - time.monotonic(), at_most))
