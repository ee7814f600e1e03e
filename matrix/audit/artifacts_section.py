"""Inside the artifacts, as a section of the audit: what to look into, and the table of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matrix.artifacts.gathering import gather
from matrix.artifacts.keeping import Kept
from matrix.artifacts.transport import HttpTransport
from matrix.audit.artifacts import Inside, Judge
from matrix.audit.artifacts_libraries import whole_globs
from matrix.audit.artifacts_scope import Scope, boundary_releases, wheels_of
from matrix.audit.finding import explained
from matrix.index.protocol import Index
from matrix.model.claim import Claim
from matrix.planning.data import read_data
from matrix.planning.shelf import Shelf

__all__ = ["look_inside", "remarks_of", "rows_of"]

_MIB = 1 << 20


def look_inside(claims: Iterable[Claim], index: Index, scope: Scope) -> tuple[Inside, int]:
    """Return what is inside the wheels, and how many bytes were fetched for it.

    Raises `IndexUnavailableError` where the index says nothing of ddtrace.
    """
    project = index.project("ddtrace")
    needs: Mapping[str, Any] = read_data("artifacts")
    shelf = Shelf(project)
    releases: Sequence[str] = [title.text for title in shelf.titles]
    if not scope.every:
        releases = boundary_releases(shelf, claims)
    batches = [wheels_of(project, [each], every=scope.every) for each in reversed(releases)]
    every = sum(map(len, batches))
    end = time.monotonic() + scope.seconds
    judge = Judge(project, index, needs)
    done = fetched = 0

    def tell(_: str) -> None:
        nonlocal done
        done += 1
        scope.tell(done, every)

    with contextlib.closing(HttpTransport()) as transport:
        for files in batches:
            # What is known of a release's files goes with it: all together would fill the memory.
            gathered = gather(
                *(files, Kept(scope.cache_dir), transport),
                whole=whole_globs(needs),
                seconds=end - time.monotonic(),
                offline=scope.offline,
                tell=tell,
            )
            judge.add(gathered)
            fetched += gathered.fetched
    return judge.result(), fetched


def rows_of(found: Inside) -> tuple[tuple[str, str, str, str], ...]:
    """Return the table: what it is, of what, what is so, in which wheels."""
    words = explained()
    return tuple(
        (words[row.kind].title, row.subject, row.says, "\n".join(map(str, row.where)))
        for row in found.rows
    )


def remarks_of(found: Inside, fetched: int) -> tuple[str, ...]:
    """Return what a reader must know of how much was looked into."""
    releases = ", ".join(found.releases) or "(none)"
    how_many = f"{found.wheels} wheels were looked into, {fetched / _MIB:.0f} MiB fetched for it"
    ends = "without --every the oldest and the newest CPython of a platform stand for those between"
    remarks = [f"{how_many}; of ddtrace {releases}", f"ranges are of these releases; {ends}"]
    if found.left:
        remarks.append(f"not looked into, and so not judged: {len(found.left)} wheels")
    return (*remarks, *found.notes)
