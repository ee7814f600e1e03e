"""What is told of a cell beside what was seen in it: its environment, and why there is none.

The run says so of cells here, a worker of a cluster of those that it was given.
"""

from __future__ import annotations

from matrix.environments.errors import BuildError
from matrix.model.capture import CellCapture
from matrix.model.environment import Environment
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason

__all__ = ["engine_of", "failed_words", "lacking_words", "said_of", "unseen", "words_of"]


def words_of(environment: Environment) -> str:
    """Return the key of the environment, with image and services, where there are such.

    What the image is given counts, too: on another engine the same one is emulated, or is not, and
    what an emulated one has no time for does not tell of the other.
    """
    words = [environment.key]
    if image := environment.image:
        words += [f"in {image.digest}", *(f"{name}={value}" for name, value in image.environment)]
    return " ".join([*words, *(f"with {each}" for each in environment.services)])


def failed_words(name: str) -> str:
    """Return what stands for an environment that could not be made; `name` is what was asked."""
    return f"failed {name}"


def lacking_words(reason: Reason) -> str:
    """Return what stands for an environment that could not even be asked for."""
    return f"none: {reason.value}"


def engine_of(environment: Environment | None, engine: str) -> str:
    """Return the name of the engine that ran the cell; "" where it ran on the machine itself."""
    return "" if environment is not None and environment.instead else engine


def said_of(error: BuildError) -> str:
    """Return why there is no environment, with the log of what failed."""
    return f"{error.detail}\n{error.log}".rstrip()


def unseen(
    planned: PlannedCell, key: str, reason: Reason, detail: str, started: str = ""
) -> CellCapture:
    """Return the capture of a cell in which nothing was run, and why."""
    return CellCapture(
        cell=planned.cell.id,
        key=key,
        identity=None,
        lock=(),
        processes=(),
        started=started,
        seconds=0.0,
        failed=reason,
        detail=detail,
    )
