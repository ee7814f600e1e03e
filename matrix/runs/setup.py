"""Set up a run on this machine or its container engine: options, environments, workers, jobs."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import functools
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from matrix.cells.job import CellJob, Limits, load_per_cpu
from matrix.cells.places import seconds_to_start
from matrix.docker.connect import connect
from matrix.docker.interface import ContainerError
from matrix.environments.manifest import Manifests
from matrix.environments.store import EnvironmentStore, store_root
from matrix.interpreters.discovery import find_interpreters
from matrix.interpreters.inspect import host_target
from matrix.kubernetes.interface import RunNamespace
from matrix.model.environment import Image
from matrix.model.index import ReleaseFiles
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.service import Service
from matrix.probes.places import runs_on_cluster
from matrix.runs.backend import FallbackEnvironments, FallbackRunner, RunBackend
from matrix.runs.checked import CheckedRunner
from matrix.runs.environments import CellWork, ImageEnvironments, LocalEnvironments
from matrix.runs.interface import CellRequest, Environments, RunContext, SystemClock
from matrix.runs.services import CellServices, ServedEnvironments, ServedRunner, run_services
from matrix.runs.workers import Workers
from matrix.services.external import ExternalService
from matrix.system.cpu_slots import WAIT_SECONDS, cpu_count, machine_slots
from matrix.system.files import read_data
from matrix.system.paths import cache_dir


@dataclasses.dataclass(frozen=True)
class Emulation:
    """The policy for cells of an emulated CPU, from `data/emulation.toml`.

    `slower` is the factor of time limits; `cells_per_cpu` cells run at a time for each CPU.
    """

    slower: float
    cells_per_cpu: int


@functools.cache
def load_emulation() -> Emulation:
    """Return the policy; raise TypeError where the data is something else."""
    return Emulation(**read_data("emulation"))


# The engine answered this run. With cells on every CPU its next answer may take long, and an engine
# that does not answer in time is lost, which ends the run.
_BUSY_SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class JobFactory:
    """Factory of jobs for worker processes; each cell has a folder in `scratch`, kept for `keep`.

    `slow` are the limits of cells for emulated targets, `limits` those of all others. `services`
    returns the services of a cell, which answer. `cluster` is the run's namespace, for the cells of
    places on a cluster. Cells that run `offline` fetch nothing.
    """

    probes: Mapping[str, Probe]
    scratch: Path
    backend: RunBackend
    limits: Limits
    slow: Limits
    keep: bool = False
    services: Callable[[PlannedCell], tuple[Service, ...]] = lambda _planned: ()
    load: Callable[[], float] = load_per_cpu
    cluster: RunNamespace | None = None
    offline: bool = False

    def make(self, request: CellRequest) -> CellJob:
        """Return the job of a cell; raise OSError where its folder cannot be made."""
        planned, environment = request.planned, request.require_environment()
        folder = self.scratch / planned.cell.id
        folder.mkdir(parents=True, exist_ok=True)
        is_emulated = planned.cell.target in self.backend.where.emulated
        job = CellJob(
            planned=planned,
            key=request.key,
            python=environment.python,
            lock=environment.lock,
            probes=tuple(self.probes[name] for name in planned.probes if name in self.probes),
            limits=(self.slow if is_emulated else self.limits).for_load(self.load()),
            scratch=folder,
            keep=self.keep,
            services=self.services(planned),
            offline=self.offline,
            slots=machine_slots(),
        )
        if runs_on_cluster(planned.cell.place):
            # Its processes run one after the other, on another machine than this one.
            cell = self.limits.cell * job.parallel
            limits = dataclasses.replace(self.limits, cell=cell)
            return dataclasses.replace(job, cluster=self.cluster, limits=limits, slots=None)
        if environment.image is None or self.backend.labels is None:
            return job
        return dataclasses.replace(
            job,
            image=environment.image,
            tree=environment.tree,
            tree_key=environment.key,
            connect=functools.partial(connect, self.backend.labels, _BUSY_SECONDS),
        )


_CELLS_PER_CPU = 2

# Beyond a cell's own limit: then the worker itself is stuck.
_GRACE_SECONDS = 60.0
# How many boots of a cell, one after the other, may have to wait for a CPU as long as is possible.
_CPU_WAITS = 10
# Making an environment is mostly waiting for the index.
_BUILDERS = 4


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """The options of a run, which runs `jobs` cells at a time and keeps their folders for `keep`.

    `fresh` reuses no earlier result, `offline` uses no index. `rejudge` runs nothing and takes the
    captures made with `engine`: docker, local, or auto for the newest of either. `external` are
    services that run already. `candidate` is a release of the tracer whose own files alone are
    installed. Probes that decide run at least `repeats` times, also where they show at once, and a
    cell may take so many times as long. Results older than `since` are not reused. With `content`
    all files of environments are compared with what was built, not only their metadata. With `anew`
    every environment is resolved once more, and compared with the committed locks. `cluster` is the
    context of the kubeconfig whose cluster runs the cells of places on one, "" for none. With
    `first_answer`, cells that can change no outcome any more are left out.
    """

    fresh: bool = False
    rejudge: bool = False
    jobs: int = 2
    keep: bool = False
    offline: bool = False
    engine: str = "auto"
    external: Mapping[str, ExternalService] = dataclasses.field(default_factory=dict)
    candidate: ReleaseFiles | None = None
    repeats: int = 1
    since: dt.datetime | None = None
    content: bool = False
    anew: bool = False
    cluster: str = ""
    first_answer: bool = False


@contextlib.contextmanager
def run_context(
    folder: Path, options: RunOptions, probes: Mapping[str, Probe], backend: RunBackend
) -> Iterator[RunContext]:
    """Yield the context of a run on `backend`; the cells' folders are below `folder`."""
    limits, slow = cell_limits(backend)
    with (
        _scratch_folder(folder, keep=options.keep) as scratch,
        run_services(options.external, offline=options.offline, engine=backend.engine) as services,
        _cluster_namespace(options.cluster) as cluster,
    ):
        needs = CellServices(services, probes)
        jobs = JobFactory(
            *(probes, scratch, backend, limits, slow),
            keep=options.keep,
            services=needs.ensure,
            cluster=cluster,
            offline=options.offline,
        )
        contained, local = (
            Workers(CellWork(contained=in_container), jobs.make, options.jobs, job_seconds)
            for in_container in (True, False)
        )
        environments = _served_environments(backend, options, probes, needs)
        try:
            yield RunContext(
                environments,
                CheckedRunner(
                    ServedRunner(FallbackRunner(contained, local), needs),
                    environments,
                    Manifests(store_root(cache_dir())),
                ),
                SystemClock(),
                options.jobs,
                _BUILDERS,
                engine=backend.where.engine,
                emulated=backend.where.emulated,
                emulated_jobs=load_emulation().cells_per_cpu * cpu_count(),
                first_answer=options.first_answer,
            )
        finally:
            contained.close()
            local.close()


@contextlib.contextmanager
def _cluster_namespace(context: str) -> Iterator[RunNamespace | None]:
    """Yield the run's namespace on the cluster of a context, None without one; raise UserError."""
    if not context:
        yield None
        return
    from matrix.kubernetes.archive import project_archive  # noqa: PLC0415 - start-up time
    from matrix.kubernetes.namespaces import run_namespace  # noqa: PLC0415 - imports the client

    with run_namespace(context, project_archive()) as namespace:
        yield namespace


def _served_environments(
    backend: RunBackend, options: RunOptions, probes: Mapping[str, Probe], needs: CellServices
) -> Environments:
    def served(backend: RunBackend) -> Environments:
        environments = backend_environments(
            backend,
            probes,
            offline=options.offline,
            candidate=options.candidate,
            content=options.content,
            anew=options.anew,
        )
        return ServedEnvironments(environments, needs)

    environments = served(backend)
    if backend.engine is None or not backend.falls_back:
        return environments
    local = dataclasses.replace(backend, engine=None)
    return FallbackEnvironments(environments, lambda: served(local), host_target())


def backend_environments(  # noqa: PLR0913 - options of a run
    backend: RunBackend,
    probes: Mapping[str, Probe],
    *,
    offline: bool,
    candidate: ReleaseFiles | None = None,
    content: bool = False,
    anew: bool = False,
) -> Environments:
    """Return the environments of the engine, or of this machine.

    With `content` all files of an environment are compared with what was built; with `anew` each is
    resolved once more.
    """
    if backend.engine is None:
        store = EnvironmentStore(cache_dir(), offline=offline, content=content, anew=anew)
        return LocalEnvironments(store, find_interpreters(), probes, candidate)
    from matrix.docker.images.catalog import ImageCatalog  # noqa: PLC0415 - start-up time
    from matrix.environments.image_trees import TreeStore  # noqa: PLC0415 - start-up time

    catalog = ImageCatalog(backend.engine, cache_dir())

    def native(python: str) -> Image | None:
        with contextlib.suppress(ContainerError):
            return catalog.find(python, host_target())
        return None

    trees = TreeStore(
        cache_dir(),
        engine=backend.engine,
        native=native,
        offline=offline,
        content=content,
        anew=anew,
    )
    return ImageEnvironments(catalog, trees, probes, candidate)


def cell_limits(backend: RunBackend) -> tuple[Limits, Limits]:
    """Return the limits of cells, and those of cells for emulated targets."""
    limits = Limits()
    return limits, limits.times(load_emulation().slower) if backend.where.emulated else limits


def default_jobs() -> int:
    """Return two cells for each CPU: a cell waits for half of its time (polls, heartbeats)."""
    return _CELLS_PER_CPU * cpu_count()


def job_seconds(job: CellJob) -> float:
    """Return how long a worker may take for a job: one that takes longer hangs, and is ended."""
    # Once more for the count of processes after a crash.
    seconds = job.limits.cell * (job.planned.repeats + 1) + _GRACE_SECONDS
    return seconds + seconds_to_start(job) + (_CPU_WAITS * WAIT_SECONDS if job.slots else 0.0)


@contextlib.contextmanager
def _scratch_folder(folder: Path, *, keep: bool) -> Iterator[Path]:
    """Yield an empty folder for the cells' folders; it is removed afterwards but for `keep`."""
    scratch = folder / ("kept" if keep else "scratch")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        yield scratch
    finally:
        if not keep:
            shutil.rmtree(scratch, ignore_errors=True)
