"""Environments of this machine, and what its worker processes do.

What a cell's environment is asked to hold.

What is said of the Debian packages of a library whose environment could not be built.

Environments for images: the image from a catalog, the packages as a tree for it.

Programs of the package index that act as back ends: installed for the CPython that runs us.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import hashlib
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

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
from matrix.runs.interfaces import Tell
from matrix.system.paths import cache_dir
from matrix.system.processes import CHILDREN

__all__ = [
    "Catalog",
    "CellWork",
    "ImageEnvironments",
    "LocalEnvironments",
    "Trees",
    "install_for_services",
    "lacking_packages",
    "naming_packages",
    "requirements_of",
]


def requirements_of(
    planned: PlannedCell, probes: Mapping[str, Probe], candidate: ReleaseFiles | None = None
) -> Requirements:
    """Return the requirements of a cell, those of its probes included.

    Where it is a cell of `candidate`, a release of the tracer, its files are the only ones.
    """
    extra = {
        requirement
        for name in planned.probes
        if name in probes
        for requirement in probes[name].requirements
    }
    found = requirements_for(planned, sorted(extra))
    if candidate is None or candidate.version != planned.cell.ddtrace:
        return found
    wheels = tuple(file for file in candidate.files if file.tags)
    return dataclasses.replace(found, given=wheels)


@contextlib.contextmanager
def naming_packages(planned: PlannedCell, image: str = "") -> Iterator[None]:
    """Let a BuildError of a cell's environment name the packages that its build takes.

    On this machine those that it lacks, and none where it has all; in an `image`, which nobody can
    look into from here, all of them.
    """
    try:
        yield
    except BuildError as error:
        said = _said(planned, image) if error.reason is Reason.BUILD_FAILED else ""
        if not said:
            raise
        raise BuildError(error.reason, f"{error.detail} ({said})", error.log) from error


def lacking_packages(planned: PlannedCell) -> tuple[str, ...]:
    """Return the packages that a build of the cell's library takes and this machine lacks."""
    library = find_integration(planned.cell.framework)
    return missing_packages(library.packages) or () if library else ()


def _said(planned: PlannedCell, image: str) -> str:
    library = find_integration(planned.cell.framework)
    if library is None or not library.packages:
        return ""
    if image:
        return f"{image} may lack what its build takes: {apt_command(library.packages)}"
    lacking = missing_packages(library.packages)
    if lacking is None:
        return f"its build takes what Debian has as {', '.join(library.packages)}"
    return f"not here, and its build takes it: {apt_command(lacking)}" if lacking else ""


class LocalEnvironments:
    """Environments from the store, for the interpreters of this machine.

    `candidate` is a release of the tracer whose files count, whatever the index has.
    """

    def __init__(
        self,
        store: EnvironmentStore,
        interpreters: Sequence[Interpreter],
        probes: Mapping[str, Probe],
        candidate: ReleaseFiles | None = None,
    ) -> None:
        self._store = store
        self._interpreters = interpreters
        self._probes = probes
        self._candidate = candidate

    def name(self, planned: PlannedCell) -> str:
        """Return a digest of what is asked for: interpreter and requirements, and what is lacking.

        A build that failed for want of a Debian package is tried again once that is here.
        """
        interpreter, requirements = self.asked(planned)
        text = f"{interpreter.version} {interpreter.build} {requirements.text}"
        if lacking := lacking_packages(planned):
            text += f" without {' '.join(lacking)}"
        return hashlib.sha256(text.encode()).hexdigest()

    def peek(self, planned: PlannedCell) -> Environment | None:
        """Return the environment where it is ready."""
        return self._store.peek(*self.asked(planned))

    def ensure(self, planned: PlannedCell, tell: Tell) -> Environment:  # noqa: ARG002 - quick
        """Return the environment, built if need be."""
        with naming_packages(planned):
            return self._store.ensure(*self.asked(planned))

    def asked(self, planned: PlannedCell) -> tuple[Interpreter, Requirements]:
        """Return what the cell asks for; raise BuildError where the interpreter is missing."""
        try:
            interpreter = interpreter_for(
                planned.cell.python, self._interpreters, planned.cell.target
            )
        except NoInterpreterError as error:
            raise BuildError(error.reason, f"{error.detail}. {error.remedy}") from error
        return interpreter, requirements_of(planned, self._probes, self._candidate)


@dataclasses.dataclass(frozen=True)
class CellWork:
    """What a worker process does: run cells. `contained` cells are kept from the network by their
    containers, and their engine may be one that is reached by it.
    """

    contained: bool = False

    def start(self) -> None:
        """Prepare the process, before it has a second thread."""
        prepare_worker(leave_network=not self.contained)

    def run(self, job: CellJob) -> CellCapture:
        """Run one cell; where its folder is kept, the logs of its processes are put beside it."""
        capture = run_cell(job)
        if job.keep and job.scratch is not None:
            with contextlib.suppress(OSError):
                for process in capture.processes:
                    name = f"{process.setting}-{process.purpose}-{process.repeat}.log"
                    (job.scratch / name).write_text(process.log, encoding="utf-8")
        return capture

    def abandon(self) -> None:
        """Kill all that the cells of this process have started."""
        CHILDREN.kill_all()


class Catalog(Protocol):
    """Images by CPython and target; raises ImageError, and ContainerError."""

    def find(self, python: str, target: str) -> Image | None:
        """Return the image where the engine holds it, quickly; None where it must be made first."""
        ...

    def ensure(self, python: str, target: str, tell: Tell) -> Image:
        """Return the image, got or made if need be."""
        ...


class Trees(Protocol):
    """Environments for images; raises BuildError, and ContainerError."""

    def peek(self, image: Image, requirements: Requirements) -> Environment | None:
        """Return the environment where it is ready."""
        ...

    def ensure(self, image: Image, requirements: Requirements) -> Environment:
        """Return the environment, built if need be."""
        ...


class ImageEnvironments:
    """Environments in images of a container engine.

    What could not be had once is not asked for again in the run: many cells share an image.
    `candidate` is a release of the tracer whose files count, whatever the index has.
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
        self._making: dict[tuple[str, str], threading.Lock] = {}
        self._known: dict[tuple[str, str], Image | BuildError] = {}
        self._missing: set[tuple[str, str]] = set()

    def name(self, planned: PlannedCell) -> str:
        """Return a digest of what is asked for: image and requirements."""
        image = self._find(planned)
        held = image.digest if image else "an image that is not there yet"
        text = f"{held} {requirements_of(planned, self._probes, self._candidate).text}"
        return hashlib.sha256(text.encode()).hexdigest()

    def peek(self, planned: PlannedCell) -> Environment | None:
        """Return the environment where image and packages are ready."""
        image = self._find(planned)
        if image is None:
            return None
        with _as_build_errors():
            return self._trees.peek(image, requirements_of(planned, self._probes, self._candidate))

    def ensure(self, planned: PlannedCell, tell: Tell) -> Environment:
        """Return the environment; its image is got or made if need be."""
        image = self._image(planned, tell)
        with _as_build_errors(), naming_packages(planned, image.name):
            return self._trees.ensure(
                image, requirements_of(planned, self._probes, self._candidate)
            )

    def _find(self, planned: PlannedCell) -> Image | None:
        key = (planned.cell.python, planned.cell.target)
        known = self._remembered(key)
        if known is not None or key in self._missing:
            return known
        with self._remembering(key), _as_build_errors():
            found = self._catalog.find(*key)
        if found is None:
            self._missing.add(key)
        else:
            self._known[key] = found
        return found

    def _image(self, planned: PlannedCell, tell: Tell) -> Image:
        key = (planned.cell.python, planned.cell.target)
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            known = self._remembered(key)
            if known is None:
                with self._remembering(key), _as_build_errors():
                    known = self._catalog.ensure(*key, tell)
                self._known[key] = known
            return known

    def _remembered(self, key: tuple[str, str]) -> Image | None:
        known = self._known.get(key)
        if isinstance(known, BuildError):
            raise BuildError(known.reason, known.detail)
        return known

    @contextlib.contextmanager
    def _remembering(self, key: tuple[str, str]) -> Iterator[None]:
        """Remember that the image cannot be had."""
        try:
            yield
        except BuildError as error:
            self._known[key] = error
            raise


@contextlib.contextmanager
def _as_build_errors() -> Iterator[None]:
    """Turn the errors of images and of the engine into the one that the run knows."""
    try:
        yield
    except ImageError as error:
        raise BuildError(error.reason, error.detail) from error
    except EngineLostError as error:
        raise BuildError(Reason.ENGINE_LOST, str(error)) from error
    except ContainerError as error:
        raise BuildError(Reason.INTERNAL_ERROR, f"the engine refused: {error}") from error


def install_for_services(
    requirements: Sequence[str], as_of: dt.date, *, offline: bool = False
) -> Path:
    """Return the interpreter of an environment of its own that holds `requirements`, exact pins.

    It is made once, as of a date. Raises RuntimeError.
    """
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    try:
        interpreter = interpreter_for(python, find_interpreters())
        asked = Requirements(tuple(requirements), (), as_of, only_binary=())
        return EnvironmentStore(cache_dir(), offline=offline).ensure(interpreter, asked).python
    except (BuildError, NoInterpreterError) as error:
        raise RuntimeError(error.detail) from error
