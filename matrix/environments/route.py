"""The two things that a way of building must do; which way is a question of the CPython."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from matrix.environments.lock import Locked
from matrix.model.environment import Interpreter, Requirements

__all__ = ["Route"]


class Route(Protocol):
    """Resolve as of a date; build from a lock. Both raise BuildError."""

    def resolve(self, interpreter: Interpreter, requirements: Requirements) -> tuple[Locked, ...]:
        """Return what `requirements` came to as of their date."""
        ...

    def build(
        self,
        interpreter: Interpreter,
        requirements: Requirements,
        lock: tuple[Locked, ...],
        folder: Path,
    ) -> None:
        """Make the environment at `folder`, which does not exist; hashes are checked."""
        ...
