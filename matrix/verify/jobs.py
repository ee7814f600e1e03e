"""What a worker is told of a cell: on this machine, or in a container."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path

from matrix.cells import CellJob, Limits
from matrix.containers import connect
from matrix.model.environment import Environment
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.service import Service
from matrix.verify.holding import Held

__all__ = ["Jobs"]

# The engine answered this run: with cells on every CPU it may take its time to do so again, and one
# that is taken for lost ends the run.
_BUSY_SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class Jobs:
    """Makes jobs; each cell has a folder in `scratch`, kept for `keep`.

    `slow` are the limits of cells for emulated targets, `limits` those of all others.
    `services` gives a cell the back ends that it needs, which answer.
    """

    probes: Mapping[str, Probe]
    scratch: Path
    runs: Held
    limits: Limits
    slow: Limits
    keep: bool = False
    services: Callable[[PlannedCell], tuple[Service, ...]] = lambda _planned: ()

    def make(self, planned: PlannedCell, environment: Environment, key: str) -> CellJob:
        """Return the job of a cell; raise OSError where it can have no folder."""
        folder = self.scratch / planned.cell.id
        folder.mkdir(parents=True, exist_ok=True)
        job = CellJob(
            planned=planned,
            key=key,
            python=environment.python,
            lock=environment.lock,
            probes=tuple(self.probes[name] for name in planned.probes if name in self.probes),
            limits=self.slow if planned.cell.target in self.runs.where.emulated else self.limits,
            scratch=folder,
            keep=self.keep,
            services=self.services(planned),
        )
        if environment.image is None or self.runs.run is None:
            return job
        return dataclasses.replace(
            job,
            image=environment.image,
            tree=environment.tree,
            tree_key=environment.key,
            connect=functools.partial(connect, self.runs.run, _BUSY_SECONDS),
        )
