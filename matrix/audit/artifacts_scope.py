"""Which wheels are looked into: those at the documents' boundaries, or all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from packaging.version import Version

from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.index import File, Project
from matrix.planning.shelf import Shelf, least_named

__all__ = ["boundary_releases", "wheels_of"]


def boundary_releases(shelf: Shelf, claims: Iterable[Claim]) -> tuple[str, ...]:
    """Return each capability's minimum, both ends of each branch, and the newest of each series.

    A series is a major version: what a branch without an upper end, or no branch, would leave out.
    """
    found: set[Version] = set()
    spelled = {title.version: title.text for title in shelf.titles}
    for claim in claims:
        if claim.status is Status.NOT_SUPPORTED or not claim.specifier:
            continue
        titles = shelf.within(claim.specifier)
        if claim.kind is ClaimKind.CAPABILITY and titles:
            found.add(titles[0].version)
        elif claim.kind is ClaimKind.BRANCH and titles:
            found.add(titles[-1].version)
            if least_named(claim.specifier):
                found.add(titles[0].version)
    newest = {title.version.major: title.version for title in shelf.titles}
    found.update(newest.values())
    return tuple(spelled[version] for version in sorted(found))


def wheels_of(project: Project, releases: Sequence[str]) -> tuple[File, ...]:
    """Return the wheels of these releases, newest release first, yanked ones left out."""
    wanted = set(releases)
    return tuple(
        file
        for release in reversed(project.releases)
        if release.version in wanted
        for file in release.files
        if file.tags and not file.yanked
    )
