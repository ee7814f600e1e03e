"""Captures of cells that did not run, and the texts for environments that keys of results are of.

Runs use them for cells on this machine, and workers of a cluster for theirs.
"""

from __future__ import annotations

from matrix.environments.errors import BuildError
from matrix.model.capture import CellCapture
from matrix.model.environment import Environment
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason


def environment_text(environment: Environment) -> str:
    """Return the key of the environment, with its image and services, if any.

    The environment variables of the image count, too: an image may be emulated by one engine and
    not by another, and a time limit that an emulated cell exceeded does not apply to the other.
    """
    words = [environment.key]
    if image := environment.image:
        words += [f"in {image.digest}", *(f"{name}={value}" for name, value in image.environment)]
    return " ".join([*words, *(f"with {service}" for service in environment.services)])


def failed_environment_text(name: str) -> str:
    """Return the text for an environment that could not be built; `name` identifies the request."""
    return f"failed {name}"


def missing_environment_text(reason: Reason) -> str:
    """Return the text for an environment that could not even be requested."""
    return f"none: {reason.value}"


def engine_of(environment: Environment | None, engine: str) -> str:
    """Return the name of the engine that ran the cell, "" where it ran on the machine itself."""
    return "" if environment is not None and environment.instead else engine


def build_error_text(error: BuildError) -> str:
    """Return why there is no environment, with the log of the failed build."""
    return f"{error.detail}\n{error.log}".rstrip()


def capture_not_run(  # noqa: PLR0913 - all that is known of it
    planned: PlannedCell,
    key: str,
    reason: Reason,
    detail: str,
    *,
    started: str = "",
    seconds: float = 0.0,
) -> CellCapture:
    """Return the capture of a cell that did not run, or not to its end."""
    return CellCapture(
        cell=planned.cell.id,
        key=key,
        identity=None,
        lock=(),
        processes=(),
        started=started,
        seconds=seconds,
        failed=reason,
        detail=detail,
    )
