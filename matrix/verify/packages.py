"""What is said of the Debian packages of a library whose environment could not be built."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from matrix.environments import BuildError
from matrix.environments.debian import apt_command, missing_packages
from matrix.integrations import integration_of
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason

__all__ = ["lacking_packages", "naming_packages"]


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
    library = integration_of(planned.cell.framework)
    return missing_packages(library.packages) or () if library else ()


def _said(planned: PlannedCell, image: str) -> str:
    library = integration_of(planned.cell.framework)
    if library is None or not library.packages:
        return ""
    if image:
        return f"{image} may lack what its build takes: {apt_command(library.packages)}"
    lacking = missing_packages(library.packages)
    if lacking is None:
        return f"its build takes what Debian has as {', '.join(library.packages)}"
    return f"not here, and its build takes it: {apt_command(lacking)}" if lacking else ""
