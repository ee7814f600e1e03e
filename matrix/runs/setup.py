"""The real world behind the seams, put together: for a whole run and for one cell alone.

What is different for cells of an emulated CPU, from `data/emulation.toml`.

What a worker is told of a cell: on this machine, or in a container.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from matrix.cells.job import CellJob, Limits
from matrix.docker.connect import connect
from matrix.docker.images.catalog import ImageCatalog
from matrix.docker.interface import ContainerEngine, ContainerError
from matrix.environments.image_trees import TreeStore
from matrix.environments.store import EnvironmentStore
from matrix.interpreters.discovery import find_interpreters
from matrix.interpreters.targets import host_target
from matrix.model.environment import Environment, Image
from matrix.model.index import ReleaseFiles
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.service import Service
from matrix.runs.backend import RunBackend
from matrix.runs.environments import (
    CellWork,
    ImageEnvironments,
    LocalEnvironments,
    install_for_services,
)
from matrix.runs.fallback import FallbackEnvironments, FallbackRunner
from matrix.runs.interfaces import Environments, SystemClock
from matrix.runs.scheduler import RunContext
from matrix.runs.services import CellServices, ServedEnvironments, ServedRunner
from matrix.runs.workers import Workers
from matrix.services.external import ExternalService
from matrix.services.pool import Services
from matrix.system.data_files import read_data
from matrix.system.paths import cache_dir

__all__ = [
    "Emulation",
    "JobFactory",
    "SetupOptions",
    "cells_at_a_time",
    "cpus",
    "environments_of",
    "limits_of",
    "load_emulation",
    "services_of",
    "world_of",
]


@dataclasses.dataclass(frozen=True)
class Emulation:
    """`slower` is the factor of time limits; `cells_per_cpu` run at a time for each CPU."""

    slower: float
    cells_per_cpu: int


@functools.cache
def load_emulation() -> Emulation:
    """Return the policy; raise TypeError where the data is something else."""
    return Emulation(**read_data("emulation"))


# The engine answered this run: with cells on every CPU it may take its time to do so again, and one
# that is taken for lost ends the run.
_BUSY_SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class JobFactory:
    """Makes jobs; each cell has a folder in `scratch`, kept for `keep`.

    `slow` are the limits of cells for emulated targets, `limits` those of all others.
    `services` gives a cell the back ends that it needs, which answer.
    """

    probes: Mapping[str, Probe]
    scratch: Path
    runs: RunBackend
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


_CELLS_PER_CPU = 2

# Beyond a cell's own limit: the worker is then stuck itself.
_GRACE_SECONDS = 60.0
# Making an environment is mostly waiting for the index.
_BUILDERS = 4


@dataclasses.dataclass(frozen=True)
class SetupOptions:
    """`jobs` cells at a time; `keep` their folders; `offline` asks no index.

    `given` are services that run already. `candidate` is a release of the tracer by its files, and
    `repeats` how often what decides is run at least: a cell may take so many times as long.
    """

    jobs: int
    keep: bool = False
    offline: bool = False
    given: Mapping[str, ExternalService] = dataclasses.field(default_factory=dict)
    candidate: ReleaseFiles | None = None
    repeats: int = 1


@contextlib.contextmanager
def world_of(
    folder: Path, how: SetupOptions, probes: Mapping[str, Probe], runs: RunBackend
) -> Iterator[RunContext]:
    """Yield the world of a run, whose cells have their folders below `folder` while it lasts."""
    limits, slow = limits_of(runs)
    with (
        _scratch(folder, keep=how.keep) as scratch,
        services_of(how.given, offline=how.offline, engine=runs.engine) as services,
    ):
        needs = CellServices(services, probes)
        jobs = JobFactory(probes, scratch, runs, limits, slow, keep=how.keep, services=needs.ensure)

        def served(runs: RunBackend) -> Environments:
            found = environments_of(runs, probes, offline=how.offline, candidate=how.candidate)
            return ServedEnvironments(found, needs)

        environments = served(runs)
        longest = slow.cell * how.repeats + _GRACE_SECONDS
        contained, here = (
            Workers(CellWork(contained=each), jobs.make, how.jobs, longest)
            for each in (True, False)
        )
        if runs.engine is not None and runs.falls_back:
            local = dataclasses.replace(runs, engine=None)
            environments = FallbackEnvironments(
                environments,
                lambda: served(local),
                host_target(),
            )
        try:
            yield RunContext(
                environments,
                ServedRunner(FallbackRunner(contained, here), needs),
                SystemClock(),
                how.jobs,
                _BUILDERS,
                engine=runs.where.engine,
                emulated=runs.where.emulated,
                emulated_jobs=load_emulation().cells_per_cpu * cpus(),
            )
        finally:
            contained.close()
            here.close()


def services_of(
    given: Mapping[str, ExternalService], *, offline: bool, engine: ContainerEngine | None = None
) -> Services:
    """Return the back ends of a run; a context manager that ends them."""
    install = functools.partial(install_for_services, offline=offline)
    return Services(given, build=install, engine=engine)


def environments_of(
    runs: RunBackend,
    probes: Mapping[str, Probe],
    *,
    offline: bool,
    candidate: ReleaseFiles | None = None,
) -> Environments:
    """Return the environments of the engine, or of this machine."""
    if runs.engine is None:
        store = EnvironmentStore(cache_dir(), offline=offline)
        return LocalEnvironments(store, find_interpreters(), probes, candidate)
    catalog = ImageCatalog(runs.engine, cache_dir())

    def native(python: str) -> Image | None:
        with contextlib.suppress(ContainerError):
            return catalog.find(python, host_target())
        return None

    trees = TreeStore(cache_dir(), runs.engine, native=native, offline=offline)
    return ImageEnvironments(catalog, trees, probes, candidate)


def limits_of(runs: RunBackend) -> tuple[Limits, Limits]:
    """Return the limits of cells, and those of cells for emulated targets where there are some."""
    limits = Limits()
    return limits, limits.times(load_emulation().slower) if runs.where.emulated else limits


def cells_at_a_time() -> int:
    """Return two for each CPU of this process: a cell waits for about half of its time.

    For a poll, a heartbeat, a span.
    """
    return _CELLS_PER_CPU * cpus()


def cpus() -> int:
    """Return how many CPUs this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def _scratch(folder: Path, *, keep: bool) -> Iterator[Path]:
    """Yield the folder for the cells' own; what an earlier run left there goes first."""
    scratch = folder / ("kept" if keep else "scratch")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        yield scratch
    finally:
        if not keep:
            shutil.rmtree(scratch, ignore_errors=True)
