"""The backend of a run: a container engine that answers, or this machine.

Where the engine is optional and cannot have an image, cells run on this machine itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import TypeVar

from matrix.docker.connect import connect, find_engine
from matrix.docker.images.catalog import ImageCatalog
from matrix.docker.interface import ContainerEngine, ContainerError
from matrix.docker.labels import RunLabels, lock_run
from matrix.environments.errors import BuildError
from matrix.errors import EngineUnavailableError
from matrix.interpreters.discovery import cache_problem, find_interpreters, search
from matrix.model.environment import Environment
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.planning.locations import Targets, engine_targets, local_targets
from matrix.probes.places import runs_on_cluster
from matrix.runs.interface import CellRequest, CellResult, Environments, Report, Runner
from matrix.system.paths import cache_dir


@dataclasses.dataclass(frozen=True)
class RunBackend:
    """The engine that runs cells, None for this machine, and the targets that can be planned.

    `labels` are those of containers and volumes. `notes` inform the user of the choice.
    `falls_back` is for an engine that is not required: cells without an image run on this machine.
    """

    where: Targets
    engine: ContainerEngine | None = None
    labels: RunLabels | None = None
    notes: tuple[str, ...] = ()
    falls_back: bool = False


@contextlib.contextmanager
def open_backend(choice: str, globs: Sequence[str] = ()) -> Iterator[RunBackend]:
    """Yield the backend for `docker`, `local`, or `auto`: docker where an engine answers.

    Things that killed runs left in the engine are removed first. Raises EngineUnavailableError for
    `docker` where no engine answers or can run anything, and UsageError for unknown targets.
    """
    noted = tuple(filter(None, (cache_problem(),)))
    if choice == "local":
        yield RunBackend(local_targets(globs), notes=(*noted, *search().passed_over))
        return
    with contextlib.ExitStack() as stack:
        labels = stack.enter_context(lock_run())
        engine = connect(labels) if choice == "docker" else find_engine(labels)
        if engine is None:
            yield _local_backend(globs, "no container engine answers", noted)
            return
        stack.callback(engine.close)
        where = engine_targets(engine.info, globs)
        if obstacle := _obstacle(engine, where):
            if choice == "docker":
                raise EngineUnavailableError(
                    obstacle, "What images there are, and how to get more: nox -s images"
                )
            yield _local_backend(globs, obstacle, noted)
            return
        notes = (*noted, *_sweep(engine))
        yield RunBackend(where, engine, labels, notes, falls_back=choice == "auto")


def available_pythons(backend: RunBackend, target: str) -> frozenset[str]:
    """Return the CPythons (`3.9`) with an interpreter or an image, or with an image to be had."""
    pythons: set[str] = set()
    if backend.engine is not None:
        with contextlib.suppress(ContainerError):
            pythons = {
                entry.offer.python
                for entry in ImageCatalog(backend.engine, cache_dir()).entries()
                if entry.offer.target == target and (entry.image or not entry.offer.obstacle)
            }
    if backend.engine is None or backend.falls_back:
        pythons |= {each.python for each in find_interpreters() if each.target == target}
    return frozenset(pythons)


def _local_backend(globs: Sequence[str], reason: str, noted: tuple[str, ...]) -> RunBackend:
    where = local_targets(globs)
    note = f"{reason}: cells run on this machine, for {where.targets[0]} only"
    return RunBackend(where, notes=(*noted, note, *search().passed_over))


def _obstacle(engine: ContainerEngine, where: Targets) -> str:
    """Return why the engine can run no cell at all, "" where it can run some."""
    try:
        entries = ImageCatalog(engine, cache_dir()).entries()
    except ContainerError as error:
        return f"{where.engine} fails: {error}"
    usable = [entry for entry in entries if entry.offer.target in where.targets]
    if any(entry.image or not entry.offer.obstacle for entry in usable):
        return ""
    obstacles = dict.fromkeys(entry.offer.obstacle for entry in usable)
    reason = "; ".join(obstacles) or "no source has one"
    return f"{where.engine} has no image to run cells in, and none can be had: {reason}"


def _sweep(engine: ContainerEngine) -> Iterator[str]:
    try:
        count = engine.sweep()
    except ContainerError as error:
        yield f"cannot remove what earlier runs left: {error}"
    else:
        if count:
            yield f"removed what killed runs had left in the engine: {count}"


_T = TypeVar("_T")


class FallbackEnvironments:
    """Environments in images, and environments of this machine where there can be no image.

    The latter are for cells of this machine's own `target` whose CPython is installed; all others
    fail for want of an image. `make_local` makes the environments of this machine when needed.
    """

    def __init__(
        self, images: Environments, make_local: Callable[[], Environments], target: str
    ) -> None:
        self._images = images
        self._make_local = make_local
        self._target = target
        self._lock = threading.Lock()
        self._local: Environments | None = None
        self._no_image: dict[str, str] = {}  # details, by CPython

    def peek(self, planned: PlannedCell) -> Environment | str:
        """Return the environment where it is ready, or a digest of it, in the image or here."""
        found = self._call(planned, lambda environments: environments.peek(planned))
        return found if isinstance(found, str) else self._mark(planned, found)

    def ensure(self, planned: PlannedCell, report: Report) -> Environment:
        """Return the environment, built if need be."""
        environment = self._call(planned, lambda environments: environments.ensure(planned, report))
        return self._mark(planned, environment)

    def _call(self, planned: PlannedCell, method: Callable[[Environments], _T]) -> _T:
        if planned.cell.target != self._target:
            return method(self._images)
        if planned.cell.python not in self._no_image:
            try:
                return method(self._images)
            except BuildError as error:
                if error.reason is not Reason.NO_IMAGE or not self._runs_locally(planned):
                    raise
                self._no_image[planned.cell.python] = error.detail
        return method(self._open_local())

    def _runs_locally(self, planned: PlannedCell) -> bool:
        try:
            self._open_local().peek(planned)
        except BuildError:
            return False
        return True

    def _open_local(self) -> Environments:
        with self._lock:
            self._local = self._local or self._make_local()
            return self._local

    def _mark(self, planned: PlannedCell, environment: Environment) -> Environment:
        if environment.image is not None:
            return environment
        python = planned.cell.python
        notice = f"cells on CPython {python} run on this machine itself: {self._no_image[python]}"
        return dataclasses.replace(environment, instead=f"{Reason.NO_IMAGE.value}: {notice}")


@dataclasses.dataclass(frozen=True)
class FallbackRunner:
    """A runner for cells in images beside one for cells on this machine.

    Their workers differ: a cell on this machine itself is kept from the network by its worker; one
    in a container or on a cluster is not, as its engine or its cluster may be reached by it.
    """

    contained: Runner
    local: Runner

    def submit(self, request: CellRequest, report: Report) -> Future[CellResult]:
        """Start a cell where its environment is."""
        is_local = request.require_environment().image is None
        is_local = is_local and not runs_on_cluster(request.planned.cell.place)
        return (self.local if is_local else self.contained).submit(request, report)

    def kill(self) -> None:
        """End all running cells at once."""
        self.contained.kill()
        self.local.kill()
