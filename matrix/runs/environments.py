"""Environments of cells, on this machine or in images, and the work of its worker processes."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import hashlib
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from matrix.cells.job import CellJob
from matrix.cells.run import prepare_worker, run_cell
from matrix.docker.images.interface import ImageError
from matrix.docker.interface import ContainerError, EngineLostError
from matrix.environments.errors import BuildError
from matrix.environments.requirements import apt_command, missing_packages, requirements_for
from matrix.environments.store import EnvironmentStore
from matrix.interpreters.discovery import NoInterpreterError, find_interpreters, interpreter_for
from matrix.model.capture import CellCapture
from matrix.model.environment import Environment, Image, Interpreter, Requirements
from matrix.model.index import ReleaseFiles
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.probes.integrations import find_integration
from matrix.probes.places import find_place
from matrix.runs.interface import Report
from matrix.system.paths import cache_dir
from matrix.system.processes import CHILDREN

_Found = TypeVar("_Found", bound=Image | None)


def cell_requirements(
    planned: PlannedCell, probes: Mapping[str, Probe], candidate: ReleaseFiles | None = None
) -> Requirements:
    """Return the requirements of a cell with those of its probes and of its place.

    For a cell of `candidate`, a release of the tracer, only its files are installed.
    """
    extra = {
        requirement
        for name in planned.probes
        if name in probes
        for requirement in probes[name].requirements
    }
    placed = find_place(planned.cell.place).requirements if planned.cell.place else ()
    requirements = requirements_for(planned, sorted({*extra, *placed}))
    # Building AWS's runtime client takes what no function has.
    only_binary = (*requirements.only_binary, *placed)
    requirements = dataclasses.replace(requirements, only_binary=only_binary)
    if candidate is None or candidate.version != planned.cell.ddtrace:
        return requirements
    wheels = tuple(file for file in candidate.files if file.tags)
    return dataclasses.replace(requirements, given=wheels)


@contextlib.contextmanager
def packages_in_errors(planned: PlannedCell, image: str = "") -> Iterator[None]:
    """Add to a BuildError of a cell's environment the Debian packages that its build needs.

    On this machine only those that are missing; for an `image`, whose contents are unknown here,
    all of them.
    """
    try:
        yield
    except BuildError as error:
        hint = _packages_hint(planned, image) if error.reason is Reason.BUILD_FAILED else ""
        if not hint:
            raise
        raise BuildError(error.reason, f"{error.detail} ({hint})", error.log) from error


def missing_build_packages(planned: PlannedCell) -> tuple[str, ...]:
    """Return the Debian packages that this machine lacks to build the cell's library."""
    library = find_integration(planned.cell.framework)
    return missing_packages(library.packages) or () if library else ()


def _packages_hint(planned: PlannedCell, image: str) -> str:
    library = find_integration(planned.cell.framework)
    if library is None or not library.packages:
        return ""
    if image:
        return f"{image} may lack packages that its build needs: {apt_command(library.packages)}"
    missing = missing_packages(library.packages)
    if missing is None:
        return f"its build needs, in Debian, the packages {', '.join(library.packages)}"
    return f"its build needs packages that are missing: {apt_command(missing)}" if missing else ""


@dataclasses.dataclass(frozen=True)
class LocalEnvironments:
    """Environments from the store, for the interpreters of this machine.

    Of `candidate`, a release of the tracer, only its own files are installed.
    """

    store: EnvironmentStore
    interpreters: Sequence[Interpreter]
    probes: Mapping[str, Probe]
    candidate: ReleaseFiles | None = None

    def peek(self, planned: PlannedCell) -> Environment | str:
        """Return the environment where it is ready, or a digest of what was requested.

        That has the missing Debian packages: a build that failed without one is tried again once it
        is installed.
        """
        interpreter, requirements = self.request(planned)
        if environment := self.store.peek(interpreter, requirements):
            return environment
        text = f"{interpreter.version} {interpreter.build} {requirements.text}"
        if missing := missing_build_packages(planned):
            text += f" without {' '.join(missing)}"
        return hashlib.sha256(text.encode()).hexdigest()

    def ensure(self, planned: PlannedCell, report: Report) -> Environment:  # noqa: ARG002 - quick
        """Return the environment, built if need be."""
        with packages_in_errors(planned):
            return self.store.ensure(*self.request(planned))

    def request(self, planned: PlannedCell) -> tuple[Interpreter, Requirements]:
        """Return the cell's interpreter and requirements; raise BuildError without the former."""
        try:
            interpreter = interpreter_for(
                planned.cell.python, self.interpreters, planned.cell.target
            )
        except NoInterpreterError as error:
            raise BuildError(error.reason, f"{error.detail}. {error.remedy}") from error
        return interpreter, cell_requirements(planned, self.probes, self.candidate)


@dataclasses.dataclass(frozen=True)
class CellWork:
    """The work of a worker process: running cells.

    Cells that are not `contained` are kept from the network by the worker; the others by their
    containers, as their engine may be reached by network.
    """

    contained: bool = False

    def start(self) -> None:
        """Prepare the process, before it has a second thread."""
        prepare_worker(leave_network=not self.contained)

    def run(self, job: CellJob) -> CellCapture:
        """Run one cell; write the logs of its processes to its folder where that is kept."""
        capture = run_cell(job)
        if job.keep and job.scratch is not None:
            with contextlib.suppress(OSError):
                for process in capture.processes:
                    name = f"{process.setting}-{process.purpose}-{process.repeat}.log"
                    (job.scratch / name).write_text(process.log, encoding="utf-8")
        return capture

    def abandon(self) -> None:
        """Kill everything that the cells of this process have started."""
        CHILDREN.kill_all()


class Catalog(Protocol):
    """Images by CPython and target; all methods raise ImageError and ContainerError."""

    def find(self, python: str, target: str) -> Image | None:
        """Return the image quickly, None where the engine does not have it yet."""
        ...

    def ensure(self, python: str, target: str, report: Report) -> Image:
        """Return the image, pulled or built if need be."""
        ...


class Trees(Protocol):
    """Environments for images; all methods raise BuildError and ContainerError."""

    def peek(self, image: Image, requirements: Requirements) -> Environment | None:
        """Return the environment where it is ready."""
        ...

    def ensure(self, image: Image, requirements: Requirements) -> Environment:
        """Return the environment, built if need be."""
        ...


class ImageEnvironments:
    """Environments in images of a container engine.

    An image that could not be had is not tried again in the run: many cells share an image. Of
    `candidate`, a release of the tracer, only its own files are installed.
    """

    def __init__(
        self,
        catalog: Catalog,
        trees: Trees,
        probes: Mapping[str, Probe],
        candidate: ReleaseFiles | None = None,
    ) -> None:
        self._catalog = catalog
        self._trees = trees
        self._probes = probes
        self._candidate = candidate
        self._lock = threading.Lock()
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._images: dict[tuple[str, str], Image | BuildError | None] = {}

    def peek(self, planned: PlannedCell) -> Environment | str:
        """Return the environment where it is ready, or a digest of the image and requirements."""
        image, requirements = self._find_image(planned), self._requirements(planned)
        if image is not None:
            with _as_build_errors():
                if environment := self._trees.peek(image, requirements):
                    return environment
        digest = image.digest if image else "an image that is not there yet"
        return hashlib.sha256(f"{digest} {requirements.text}".encode()).hexdigest()

    def ensure(self, planned: PlannedCell, report: Report) -> Environment:
        """Return the environment; its image is pulled or built if need be."""
        image = self._ensure_image(planned, report)
        with _as_build_errors(), packages_in_errors(planned, image.name):
            return self._trees.ensure(image, self._requirements(planned))

    def _requirements(self, planned: PlannedCell) -> Requirements:
        return cell_requirements(planned, self._probes, self._candidate)

    def _find_image(self, planned: PlannedCell) -> Image | None:
        key = (planned.cell.python, planned.cell.target)
        if key not in self._images:
            found = _or_error(lambda: self._catalog.find(*key))
            self._images.setdefault(key, found)
        return _raise_error(self._images[key])

    def _ensure_image(self, planned: PlannedCell, report: Report) -> Image:
        key = (planned.cell.python, planned.cell.target)
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            image = self._images.get(key)
            if image is None:
                image = _or_error(lambda: self._catalog.ensure(*key, report))
                self._images[key] = image
            return _raise_error(image)


def _or_error(find: Callable[[], _Found]) -> _Found | BuildError:
    try:
        with _as_build_errors():
            return find()
    except BuildError as error:
        return error


def _raise_error(found: _Found | BuildError) -> _Found:
    if isinstance(found, BuildError):
        raise BuildError(found.reason, found.detail)
    return found


@contextlib.contextmanager
def _as_build_errors() -> Iterator[None]:
    """Turn errors of images and of the engine into BuildErrors."""
    try:
        yield
    except ImageError as error:
        raise BuildError(error.reason, error.detail) from error
    except EngineLostError as error:
        raise BuildError(Reason.ENGINE_LOST, str(error)) from error
    except ContainerError as error:
        raise BuildError(Reason.INTERNAL_ERROR, f"the engine failed: {error}") from error


def service_interpreter(
    requirements: Sequence[str], as_of: dt.date, *, offline: bool = False
) -> Path:
    """Return the interpreter of an environment of their own for `requirements`, exact pins.

    It is built once, as of a date. Services are programs of the package index that run on the
    CPython that runs us. Raises RuntimeError.
    """
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    try:
        interpreter = interpreter_for(python, find_interpreters())
        pinned = Requirements(tuple(requirements), (), as_of, only_binary=())
        return EnvironmentStore(cache_dir(), offline=offline).ensure(interpreter, pinned).python
    except (BuildError, NoInterpreterError) as error:
        raise RuntimeError(error.detail) from error
