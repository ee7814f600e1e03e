"""Environments for images: the image from a catalog, the packages as a tree for it."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator, Mapping
from typing import Protocol

from matrix.containers.seam import ContainerError, EngineLostError
from matrix.environments import BuildError
from matrix.images.source import ImageError
from matrix.model.environment import Environment, Requirements
from matrix.model.image import Image
from matrix.model.index import Release
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.verify.asking import requirements_of
from matrix.verify.packages import naming_packages
from matrix.verify.seams import Tell

__all__ = ["Catalog", "ImageEnvironments", "Trees"]


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
        candidate: Release | None = None,
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
