"""Boundaries: the tracer releases that a promise is tested at.

A boundary has the lowest release that must keep the promise, the release before it, and the
releases to compare with.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence

from matrix.pypi.releases import Release, Releases, later_than, specifier_allows

# A candidate is compared with the newest release of so many earlier minor series.
_EARLIER_SERIES = 5
_LOWER_BOUND = re.compile(r"(?:>=?|~=|==)\s*\d")


@dataclasses.dataclass(frozen=True)
class Boundary:
    """A release that must keep the promise; `before` need not, `controls` should, newest first.

    `beyond` are the newest releases of later majors, which are not promised, ascending.
    """

    minimum: Release
    before: Release | None = None
    controls: tuple[Release, ...] = ()
    beyond: tuple[Release, ...] = ()


def minimum_boundary(
    tracer: Releases, specifier: str, branches: Sequence[str], *, tight: bool
) -> Boundary | None:
    """Return the boundary of `from ddtrace V`; None where no release is in the specifier."""
    releases = tracer.matching(specifier)
    if not releases:
        return None
    minimum = releases[0]
    lower = tracer.all[: tracer.all.index(minimum)] if tight else ()
    in_branch = tracer.matching(_branch(minimum, branches))
    return Boundary(
        minimum=minimum,
        before=lower[-1] if lower else None,
        controls=_series_heads(in_branch, minimum),
    )


def minimum_and_heads(
    tracer: Releases, specifier: str, branches: Sequence[str], *, tight: bool
) -> tuple[Boundary, ...]:
    """Return the boundary of `from ddtrace V`, then the newest later release of each branch.

    A promise that names a minimum covers the releases after it: the newest of each branch decides
    as the minimum does, which is its positive control; that of each major where the page names no
    branches. Empty where no release is in the specifier.
    """
    lowest = minimum_boundary(tracer, specifier, branches, tight=tight)
    if lowest is None:
        return ()
    promised = set(tracer.matching(specifier))
    heads = [
        dataclasses.replace(head, controls=(lowest.minimum,))
        for head in (branch_heads(tracer, branches) if branches else map(Boundary, _majors(tracer)))
        if head.minimum.version > lowest.minimum.version and head.minimum in promised
    ]
    return (lowest, *heads)


def with_beyond(
    tracer: Releases, boundaries: Sequence[Boundary], branches: Sequence[str], specifier: str = ""
) -> tuple[Boundary, ...]:
    """Return the boundaries; the last has the newest release of each major that no branch has.

    Only later majors count, those in the specifier, and only where the page names its branches:
    without them, it promises every later release.
    """
    if not boundaries or not branches:
        return tuple(boundaries)
    heads = (*boundaries, *branch_heads(tracer, branches))
    newest = max(head.minimum.major for head in heads)
    promised = set(tracer.matching(specifier))
    beyond = tuple(item for item in _majors(tracer) if item.major > newest and item in promised)
    return (*boundaries[:-1], dataclasses.replace(boundaries[-1], beyond=beyond))


def _majors(tracer: Releases) -> tuple[Release, ...]:
    """Return the newest release of each major, ascending."""
    return tuple({release.major: release for release in tracer.all}.values())


def branch_heads(tracer: Releases, branches: Sequence[str]) -> tuple[Boundary, ...]:
    """Return the newest release of each branch, ascending."""
    heads = {releases[-1] for name in branches or [""] if (releases := tracer.matching(name))}
    return tuple(Boundary(release) for release in sorted(heads, key=lambda head: head.version))


def branch_ranges(
    tracer: Releases, branches: Sequence[str], specifier: str
) -> tuple[Boundary, ...]:
    """Return both ends of each branch, as far as the specifier allows.

    The first release is included only where the branch or the specifier has a lower bound. A page
    without branches (or with none that meets the specifier) gives the specifier's own ends.
    """
    matching = [branch for branch in branches if tracer.matching(branch, specifier)] or [""]
    boundaries: list[Boundary] = []
    for branch in matching:
        releases = tracer.matching(branch, specifier)
        if not releases:
            continue
        first, last = releases[0], releases[-1]
        if _LOWER_BOUND.search(f"{branch},{specifier}") and first is not last:
            boundaries.append(Boundary(first, None, _series_heads(releases, first)))
        boundaries.append(Boundary(last))
    return tuple(boundaries)


def candidate_boundary(
    tracer: Releases, candidate: Release, branches: Sequence[str], specifier: str
) -> Boundary:
    """Return the boundary of the one release that every claim is tested on.

    The candidate is its own first control: the others run only where it does not show the
    feature. They are later releases of its branch, then earlier ones in the specifier.
    """
    releases = tracer.matching(_branch(candidate, branches))
    documented = set(tracer.matching(specifier))
    newest = {
        release.minor: release
        for release in releases
        if release.version < candidate.version and release in documented
    }
    earlier = [newest[minor] for minor in sorted(newest, reverse=True)]
    controls = (candidate, *_series_heads(releases, candidate), *earlier[:_EARLIER_SERIES])
    return Boundary(candidate, None, controls)


def vendor_boundary(tracer: Releases, candidate: Release) -> Boundary:
    """Return the boundary of a library's release that the vendor tests with the candidate.

    Its controls are the candidate itself, the newest release of the minor series before, and that
    of each earlier major: what is lost may have been lost long ago.
    """
    majors = {
        release.version.major: release for release in tracer.all if release.minor < candidate.minor
    }
    return Boundary(candidate, None, (candidate, *reversed(majors.values())))


def _branch(release: Release, branches: Iterable[str]) -> str:
    """Return the branch that a release is of; its major series where no branch has it."""
    matching = (branch for branch in branches if specifier_allows(branch, release.final_text))
    return next(matching, f"=={release.version.major}.*")


def _series_heads(releases: Sequence[Release], minimum: Release) -> tuple[Release, ...]:
    """Return the newest release of each minor series above `minimum`, newest first."""
    newest = {release.minor: release for release in later_than(releases, minimum.version)}
    return tuple(newest[minor] for minor in sorted(newest, reverse=True))
