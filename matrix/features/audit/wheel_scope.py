"""Which wheels are looked into: those at the documents' boundaries, or all."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from packaging.version import Version

from matrix.features.audit.wheel_platforms import platform_of, python_of
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.index import File, Project
from matrix.pypi.releases import Releases, lowest_named, python_key

__all__ = ["Scope", "boundary_releases", "wheels_of"]

_ENDS = 2


@dataclasses.dataclass(frozen=True)
class Scope:
    """How much to look into, and where what is found is kept.

    `every` is for all wheels of all final releases, else those at the documents' boundaries.
    `offline` looks into nothing that is not known. `tell` is called with `done, all` as it goes on.
    """

    cache_dir: Path
    every: bool = False
    offline: bool = False
    seconds: float = 1800.0
    tell: Callable[[int, int], None] = lambda _done, _all: None


def boundary_releases(shelf: Releases, claims: Iterable[Claim]) -> tuple[str, ...]:
    """Return each capability's minimum, both ends of each branch, and the newest of each series.

    A series is a major version: what a branch without an upper end, or no branch, would leave out.
    """
    found: set[Version] = set()
    spelled = {title.version: title.text for title in shelf.all}
    for claim in claims:
        if claim.status is Status.NOT_SUPPORTED or not claim.specifier:
            continue
        titles = shelf.matching(claim.specifier)
        if claim.kind is ClaimKind.CAPABILITY and titles:
            found.add(titles[0].version)
        elif claim.kind is ClaimKind.BRANCH and titles:
            found.add(titles[-1].version)
            if lowest_named(claim.specifier):
                found.add(titles[0].version)
    newest = {title.version.major: title.version for title in shelf.all}
    found.update(newest.values())
    return tuple(spelled[version] for version in sorted(found))


def wheels_of(
    project: Project, releases: Sequence[str], *, every: bool = False
) -> tuple[File, ...]:
    """Return the wheels of these releases, newest release first, yanked ones left out.

    Of each release and platform those for the oldest and for the newest CPython, or all: what a
    wheel lacks, it mostly lacks for a platform or for the CPythons of one end.
    """
    wanted = set(releases)
    found: list[File] = []
    for release in reversed(project.releases):
        if release.version not in wanted:
            continue
        platforms: dict[str, list[File]] = defaultdict(list)
        for file in release.files:
            if file.tags and not file.yanked:
                platform = platform_of(file.tags)
                platforms[platform.text if platform else "any"].append(file)
        for files in platforms.values():
            files.sort(key=_age)
            found += files if every or len(files) < _ENDS else (files[0], files[-1])
    return tuple(found)


def _age(file: File) -> tuple[tuple[int, ...], str]:
    python = python_of(file.tags)
    return (python_key(python) if python else (), file.filename)
