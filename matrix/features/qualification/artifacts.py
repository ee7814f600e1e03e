"""Which of a release's files a cell had: of those its lock accepts, the one an installer takes.

A lock may accept every file of a release by digest; which of them goes in follows from CPython,
platform and C library. https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from matrix.model.cell import Cell
from matrix.pypi.tags import supported_tags
from matrix.runs.record import CellLine

__all__ = ["Artifact", "artifact_of"]


@dataclasses.dataclass(frozen=True, order=True)
class Artifact:
    """A file of the release: a wheel or a source distribution, by name and sha256."""

    name: str
    sha256: str


def artifact_of(line: CellLine, artifacts: Iterable[Artifact]) -> Artifact | None:
    """Return the artifact that the cell had, None where that was none of them, or is not known."""
    if line.where is None:
        return None
    known = [each for each in artifacts if each.sha256 in line.where.tracer]
    cell = Cell.parse(line.id)
    best = _ranks(cell.python, cell.target, line.where.libc)
    ranked = sorted((rank, each) for each in known if (rank := _rank(each.name, best)) is not None)
    return ranked[0][1] if ranked else None


@functools.lru_cache(maxsize=64)
def _ranks(python: str, target: str, libc: str) -> dict[str, int]:
    try:
        tags = supported_tags(python, target, libc)
    except ValueError:
        tags = supported_tags(python, target)
    return {str(tag): number for number, tag in enumerate(tags)}


def _rank(name: str, best: dict[str, int]) -> int | None:
    """Return how soon an installer takes a file (0: first), None for one it does not take."""
    if not name.endswith(".whl"):
        return len(best)  # a source distribution: built where no wheel fits
    try:
        tags = parse_wheel_filename(name)[3]
    except InvalidWheelFilename:
        return None
    return min((best[str(tag)] for tag in tags if str(tag) in best), default=None)
