"""Cells on this machine itself, where an optional engine cannot have an image for them."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from matrix.environments.errors import BuildError
from matrix.model.environment import Environment
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.runs.interface import CellRequest, CellResult, Environments, Report, Runner

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

    def name(self, planned: PlannedCell) -> str:
        """Return a digest of the requested environment, in the image or here."""
        return self._call(planned, lambda environments: environments.name(planned))

    def peek(self, planned: PlannedCell) -> Environment | None:
        """Return the environment where it is ready."""
        return self._mark(
            planned, self._call(planned, lambda environments: environments.peek(planned))
        )

    def ensure(self, planned: PlannedCell, report: Report) -> Environment:
        """Return the environment, built if need be."""
        environment = self._call(planned, lambda environments: environments.ensure(planned, report))
        return self._mark(planned, environment) or environment

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
            self._open_local().name(planned)
        except BuildError:
            return False
        return True

    def _open_local(self) -> Environments:
        with self._lock:
            self._local = self._local or self._make_local()
            return self._local

    def _mark(self, planned: PlannedCell, environment: Environment | None) -> Environment | None:
        if environment is None or environment.image is not None:
            return environment
        python = planned.cell.python
        notice = f"cells on CPython {python} run on this machine itself: {self._no_image[python]}"
        return dataclasses.replace(environment, instead=f"{Reason.NO_IMAGE.value}: {notice}")


@dataclasses.dataclass(frozen=True)
class FallbackRunner:
    """A runner for cells in images beside one for cells on this machine.

    Their workers differ: a cell that is not in a container is kept from the network by its worker.
    """

    contained: Runner
    local: Runner

    def submit(self, request: CellRequest, report: Report) -> Future[CellResult]:
        """Start a cell where its environment is."""
        image = request.require_environment().image
        return (self.local if image is None else self.contained).submit(request, report)

    def kill(self) -> None:
        """End all running cells at once."""
        self.contained.kill()
        self.local.kill()
