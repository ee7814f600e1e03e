"""Selection of the wheels to inspect: those at the documents' boundaries, or all."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from packaging.version import Version

from matrix.features.audit.wheel_platforms import parse_platform, parse_python, python_order
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.index import File, Project
from matrix.pypi.releases import Releases, lowest_named

_ENDS = 2


@dataclasses.dataclass(frozen=True)
class InspectionScope:
    """The extent of an inspection, and where its results are cached.

    `every` selects all wheels of all final releases, else those at the documents' boundaries are
    inspected. `offline` uses only the cache. `report` is called with `done, total` numbers.
    """

    cache_dir: Path
    every: bool = False
    offline: bool = False
    seconds: float = 1800.0
    report: Callable[[int, int], None] = lambda _done, _total: None


def boundary_releases(releases: Releases, claims: Iterable[Claim]) -> tuple[str, ...]:
    """Return each capability's minimum, both ends of each branch, and the newest of each major.

    The last ones are for branches without an upper bound, and for releases outside all branches.
    """
    boundaries: set[Version] = set()
    spelling = {release.version: release.text for release in releases.all}
    for claim in claims:
        if claim.status is Status.NOT_SUPPORTED or not claim.specifier:
            continue
        matching = releases.matching(claim.specifier)
        if claim.kind is ClaimKind.CAPABILITY and matching:
            boundaries.add(matching[0].version)
        elif claim.kind is ClaimKind.BRANCH and matching:
            boundaries.add(matching[-1].version)
            if lowest_named(claim.specifier):
                boundaries.add(matching[0].version)
    newest = {release.version.major: release.version for release in releases.all}
    boundaries.update(newest.values())
    return tuple(spelling[version] for version in sorted(boundaries))


def select_wheels(
    project: Project, releases: Sequence[str], *, every: bool = False
) -> tuple[File, ...]:
    """Return the wheels of these releases without yanked ones, newest release first.

    By default only the wheels for the oldest and the newest CPython of each release and platform
    are returned, because most problems affect a platform, or the CPythons at one end.
    """
    selected: list[File] = []
    for release in reversed(project.releases):
        if release.version not in releases:
            continue
        platforms: dict[str, list[File]] = defaultdict(list)
        for file in release.files:
            if file.tags and not file.yanked:
                platform = parse_platform(file.tags)
                platforms[platform.text if platform else "any"].append(file)
        for files in platforms.values():
            files.sort(key=_age)
            selected += files if every or len(files) < _ENDS else (files[0], files[-1])
    return tuple(selected)


def _age(file: File) -> tuple[tuple[int, ...], str]:
    return python_order(parse_python(file.tags)), file.filename
