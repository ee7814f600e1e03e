"""The real world behind the seams, put together: for a whole run and for one cell alone."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from matrix.cells import Limits
from matrix.containers.seam import ContainerError, Engine
from matrix.environments import EnvironmentStore
from matrix.environments.trees import TreeStore
from matrix.images.catalog import ImageCatalog
from matrix.interpreters import find_interpreters
from matrix.model.image import Image
from matrix.model.index import Release
from matrix.model.probe import Probe
from matrix.places import cache_dir
from matrix.planning.targets import host_target
from matrix.services.given import Given
from matrix.services.pool import Services
from matrix.verify.contained import ImageEnvironments
from matrix.verify.emulation import load_emulation
from matrix.verify.engine import World
from matrix.verify.falling_back import ByPlace, FallingBack
from matrix.verify.holding import Held
from matrix.verify.installing import install_for_services
from matrix.verify.jobs import Jobs
from matrix.verify.local import CellWork, LocalEnvironments
from matrix.verify.seams import Environments, SystemClock
from matrix.verify.serving import Needs, ServedEnvironments, ServedRunner
from matrix.verify.workers import Workers

__all__ = [
    "How",
    "cells_at_a_time",
    "cpus",
    "environments_of",
    "limits_of",
    "services_of",
    "world_of",
]

_CELLS_PER_CPU = 2

# Beyond a cell's own limit: the worker is then stuck itself.
_GRACE_SECONDS = 60.0
# Making an environment is mostly waiting for the index.
_BUILDERS = 4


@dataclasses.dataclass(frozen=True)
class How:
    """`jobs` cells at a time; `keep` their folders; `offline` asks no index.

    `given` are services that run already. `candidate` is a release of the tracer by its files, and
    `repeats` how often what decides is run at least: a cell may take so many times as long.
    """

    jobs: int
    keep: bool = False
    offline: bool = False
    given: Mapping[str, Given] = dataclasses.field(default_factory=dict)
    candidate: Release | None = None
    repeats: int = 1


@contextlib.contextmanager
def world_of(folder: Path, how: How, probes: Mapping[str, Probe], runs: Held) -> Iterator[World]:
    """Yield the world of a run, whose cells have their folders below `folder` while it lasts."""
    limits, slow = limits_of(runs)
    with (
        _scratch(folder, keep=how.keep) as scratch,
        services_of(how.given, offline=how.offline, engine=runs.engine) as services,
    ):
        needs = Needs(services, probes)
        jobs = Jobs(probes, scratch, runs, limits, slow, keep=how.keep, services=needs.ensure)

        def served(runs: Held) -> Environments:
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
            environments = FallingBack(
                environments,
                lambda: served(local),
                host_target(),
            )
        try:
            yield World(
                environments,
                ServedRunner(ByPlace(contained, here), needs),
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
    given: Mapping[str, Given], *, offline: bool, engine: Engine | None = None
) -> Services:
    """Return the back ends of a run; a context manager that ends them."""
    install = functools.partial(install_for_services, offline=offline)
    return Services(given, build=install, engine=engine)


def environments_of(
    runs: Held, probes: Mapping[str, Probe], *, offline: bool, candidate: Release | None = None
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


def limits_of(runs: Held) -> tuple[Limits, Limits]:
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
