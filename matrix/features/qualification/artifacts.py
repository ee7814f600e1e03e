"""The file of a release that a cell had installed.

A lock may accept every file of a release by digest. The file that an installer picks follows from
CPython, platform and C library:
https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from matrix.pypi.tags import supported_tags
from matrix.runs.record import CellRecord


@dataclasses.dataclass(frozen=True, order=True)
class Artifact:
    """A file of the release: a wheel or a source distribution, by name and sha256."""

    name: str
    sha256: str


def installed_artifact(record: CellRecord, artifacts: Iterable[Artifact]) -> Artifact | None:
    """Return the artifact that the cell had, None where it had another file or that is unknown."""
    if record.where is None:
        return None
    ranks = _tag_ranks(record.cell.python, record.cell.target, record.where.libc)
    ranked = sorted(
        (rank, artifact)
        for artifact in artifacts
        if artifact.sha256 in record.where.tracer
        and (rank := _rank(artifact.name, ranks)) is not None
    )
    return ranked[0][1] if ranked else None


@functools.lru_cache(maxsize=64)
def _tag_ranks(python: str, target: str, libc: str) -> dict[str, int]:
    try:
        tags = supported_tags(python, target, libc)
    except ValueError:
        tags = supported_tags(python, target)
    return {str(tag): number for number, tag in enumerate(tags)}


def _rank(name: str, ranks: dict[str, int]) -> int | None:
    """Return the preference of an installer for a file (0: first), None for an unusable one."""
    if not name.endswith(".whl"):
        return len(ranks)  # a source distribution: built where no wheel fits
    try:
        tags = parse_wheel_filename(name)[3]
    except InvalidWheelFilename:
        return None
    return min((ranks[str(tag)] for tag in tags if str(tag) in ranks), default=None)
