"""Cells on this machine itself, where an engine that nobody demanded can have no image."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from matrix.environments.errors import BuildError
from matrix.model.capture import CellCapture
from matrix.model.environment import Environment
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.runs.interfaces import Environments, Runner, Tell

__all__ = ["FallbackEnvironments", "FallbackRunner"]

_Answer = TypeVar("_Answer")


class FallbackEnvironments:
    """Environments in images, and those of this machine where an image can be had in no way.

    That is for cells of this machine's own `target` whose CPython is here; of all others it is said
    that they have no image. `here` makes the environments of this machine, when they are needed.
    """

    def __init__(self, images: Environments, here: Callable[[], Environments], target: str) -> None:
        self._images = images
        self._make_here = here
        self._target = target
        self._lock = threading.Lock()
        self._here: Environments | None = None
        self._why: dict[str, str] = {}

    def name(self, planned: PlannedCell) -> str:
        """Return a digest of what is asked for, in the image or here."""
        return self._asked(planned, lambda each: each.name(planned))

    def peek(self, planned: PlannedCell) -> Environment | None:
        """Return the environment where it is ready."""
        return self._marked(planned, self._asked(planned, lambda each: each.peek(planned)))

    def ensure(self, planned: PlannedCell, tell: Tell) -> Environment:
        """Return the environment, built if need be."""
        made = self._asked(planned, lambda each: each.ensure(planned, tell))
        return self._marked(planned, made) or made

    def _asked(self, planned: PlannedCell, ask: Callable[[Environments], _Answer]) -> _Answer:
        if planned.cell.target != self._target:
            return ask(self._images)
        if planned.cell.python not in self._why:
            try:
                return ask(self._images)
            except BuildError as error:
                if error.reason is not Reason.NO_IMAGE or not self._runs_here(planned):
                    raise
                self._why[planned.cell.python] = error.detail
        return ask(self._local())

    def _runs_here(self, planned: PlannedCell) -> bool:
        try:
            self._local().name(planned)
        except BuildError:
            return False
        return True

    def _local(self) -> Environments:
        with self._lock:
            self._here = self._here or self._make_here()
            return self._here

    def _marked(self, planned: PlannedCell, made: Environment | None) -> Environment | None:
        if made is None or made.image is not None:
            return made
        why = self._why[planned.cell.python]
        said = f"cells on CPython {planned.cell.python} run on this machine itself"
        return dataclasses.replace(made, instead=f"{Reason.NO_IMAGE.value}: {said}: {why}")


@dataclasses.dataclass(frozen=True)
class FallbackRunner:
    """Runs cells in images with one runner and those of this machine with another.

    Their workers differ: what is not in a container must be kept from the network by its worker.
    """

    contained: Runner
    here: Runner

    def submit(
        self, planned: PlannedCell, environment: Environment, key: str
    ) -> Future[CellCapture]:
        """Start a cell where its environment is."""
        runner = self.here if environment.image is None else self.contained
        return runner.submit(planned, environment, key)

    def kill(self) -> None:
        """End all that runs, at once."""
        self.contained.kill()
        self.here.kill()
