"""The framework's releases of the times of the tracer's releases. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from matrix.model.plan import PlannedCell
from matrix.planning.existence import Unsatisfiable, newest_usable, tracer_obstacle
from matrix.pypi.releases import Release, Releases


@dataclasses.dataclass(frozen=True)
class FrameworkEras:
    """The releases of a framework, within a specifier, that can be used on a CPython."""

    project: Releases
    specifier: str
    python: str
    target: str

    def release(self, tracer: Release) -> Release | Unsatisfiable:
        """Return the newest that existed when a release of the tracer appeared."""
        return newest_usable(self.project, self.specifier, self.python, tracer.uploaded)

    def obstacle(self, tracer: Release) -> Unsatisfiable | None:
        """Return why a release of the tracer cannot be tested on the framework of its time."""
        own = self.release(tracer)
        missing = own if isinstance(own, Unsatisfiable) else None
        return tracer_obstacle(tracer, self.python, self.target) or missing

    def others(
        self, release: Release, tracers: Sequence[Release]
    ) -> Iterator[tuple[Release, Release]]:
        """Yield other releases than one, with the tracer of whose time each is.

        The tracers are the first, the middle and the last of those that can be installed.
        """
        usable = [
            each for each in tracers if tracer_obstacle(each, self.python, self.target) is None
        ]
        found = {release.text}
        for tracer in (usable[0], usable[len(usable) // 2], usable[-1]) if usable else ():
            other = self.release(tracer)
            if isinstance(other, Release) and other.text not in found:
                found.add(other.text)
                yield other, tracer

    def remark(self, cells: Mapping[str, PlannedCell]) -> str:
        """Return how the framework's releases were chosen."""
        own = [item.cell.framework_version for item in cells.values()]
        ends = f"{own[0]} to {own[-1]}"
        return f"each release is tested on the {self.project.name} of its time ({ends})"
