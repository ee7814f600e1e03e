"""Which tracer releases a promise is tried at: the least, the one before, the ones to compare."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from matrix.pypi.releases import Release, Releases, specifier_allows

__all__ = ["Boundary", "at", "floor", "stretches", "tips"]

# Of how many minor series before a candidate the newest release may be compared with it.
_EARLIER = 5
_LOWER = re.compile(r"(?:>=?|~=|==)\s*\d")


@dataclasses.dataclass(frozen=True)
class Boundary:
    """A release that must keep the promise; `before` need not, `controls` should, newest first."""

    minimum: Release
    before: Release | None = None
    controls: tuple[Release, ...] = ()


def floor(
    tracer: Releases, specifier: str, branches: Sequence[str], *, tight: bool
) -> Boundary | None:
    """Return the boundary of `from ddtrace V`; None where no release is in the specifier."""
    titles = tracer.matching(specifier)
    if not titles:
        return None
    minimum = titles[0]
    lower = [title for title in tracer.all if title.version < minimum.version]
    return Boundary(
        minimum=minimum,
        before=lower[-1] if tight and lower else None,
        controls=_controls(tracer, minimum, branches),
    )


def tips(tracer: Releases, branches: Sequence[str]) -> tuple[Boundary, ...]:
    """Return the newest release of each branch, for what is promised to be nowhere."""
    newest = {titles[-1] for each in branches or [""] if (titles := tracer.matching(each))}
    return tuple(Boundary(title) for title in sorted(newest, key=lambda title: title.version))


def stretches(tracer: Releases, branches: Sequence[str], specifier: str) -> tuple[Boundary, ...]:
    """Return both ends of each branch as far as the specifier goes.

    The first release only where the branch or the specifier has a lower end at all. A page without
    branches (or with none that the specifier meets) gives the specifier's own ends.
    """
    meeting = [each for each in branches if tracer.matching(each, specifier)] or [""]
    found: list[Boundary] = []
    for branch in meeting:
        titles = tracer.matching(branch, specifier)
        if not titles:
            continue
        first, last = titles[0], titles[-1]
        if _LOWER.search(f"{branch},{specifier}") and first is not last:
            found.append(Boundary(first, None, _series_tips(titles, first)))
        found.append(Boundary(last))
    return tuple(found)


def at(tracer: Releases, candidate: Release, branches: Sequence[str], specifier: str) -> Boundary:
    """Return the boundary of one release that everything is asked of.

    It stands first among its own controls: others are run only where it does not show. Those are
    later releases of its branch, then earlier ones in the specifier.
    """
    titles = tracer.matching(_branch(candidate, branches))
    documented = set(tracer.matching(specifier))
    newest = {
        title.minor: title
        for title in titles
        if title.version < candidate.version and title in documented
    }
    earlier = [newest[minor] for minor in sorted(newest, reverse=True)]
    controls = (candidate, *_series_tips(titles, candidate), *earlier[:_EARLIER])
    return Boundary(candidate, None, controls)


def _controls(tracer: Releases, minimum: Release, branches: Sequence[str]) -> tuple[Release, ...]:
    return _series_tips(tracer.matching(_branch(minimum, branches)), minimum)


def _branch(title: Release, branches: Sequence[str]) -> str:
    holding = [each for each in branches if specifier_allows(each, title.final_text)]
    return holding[0] if holding else f"=={title.version.major}.*"


def _series_tips(titles: Sequence[Release], minimum: Release) -> tuple[Release, ...]:
    newest: dict[tuple[int, int], Release] = {}
    for title in titles:
        if title.version > minimum.version:
            newest[title.minor] = title
    return tuple(newest[minor] for minor in sorted(newest, reverse=True))
