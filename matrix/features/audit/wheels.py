"""Inside the wheels: what each lacks or carries in vain, over releases and platforms.

Inside the artifacts, as a section of the audit: what to look into, and the table of it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from packaging.version import Version

from matrix.features.audit.findings import (
    AuditFinding,
    DocumentLine,
    FindingKind,
    explained,
    in_order,
)
from matrix.features.audit.versions import ReleaseRange, runs_of
from matrix.features.audit.wheel_imports import Checker, missing_modules, undeclared_imports
from matrix.features.audit.wheel_libraries import (
    lacking_libraries,
    misplaced_libraries,
    whole_globs,
)
from matrix.features.audit.wheel_platforms import InspectedWheel, PlatformMismatch
from matrix.features.audit.wheel_scope import Scope, boundary_releases, wheels_of
from matrix.model.claim import Claim
from matrix.model.index import Project
from matrix.pypi.index import Index
from matrix.pypi.inspect import WheelInspection, WheelCache, inspect_wheels
from matrix.pypi.releases import Releases, python_key
from matrix.pypi.remote_file import HttpTransport
from matrix.system.data_files import read_data

__all__ = [
    "WheelChecker",
    "WheelReport",
    "WheelRow",
    "WheelScope",
    "look_inside",
    "remarks_of",
    "rows_of",
]

# So many places are named for one finding; the table has the rest.
_PLACES = 5


@dataclasses.dataclass(frozen=True)
class WheelScope:
    """The wheels that a row is about. No platform and no CPython stands for all of them.

    `releases` are in words (`1.9.0 to 4.16.0`), of those looked at that have such wheels.
    """

    platforms: tuple[str, ...]
    pythons: tuple[str, ...]
    releases: str

    def __str__(self) -> str:
        which = f"{', '.join(self.platforms)} {_span(self.pythons)}".strip()
        return f"{which or 'all wheels'}: {self.releases}"


@dataclasses.dataclass(frozen=True)
class WheelRow:
    """One thing that does not fit, and in which wheels."""

    kind: FindingKind
    subject: str
    says: str
    where: tuple[WheelScope, ...]


@dataclasses.dataclass(frozen=True)
class WheelReport:
    """The answer. `releases` were looked at, by `wheels` files; `left` were not reached.

    `notes` are about single members that could not be read, and projects the index is silent about.
    """

    releases: tuple[str, ...]
    wheels: int
    rows: tuple[WheelRow, ...]
    findings: tuple[AuditFinding, ...]
    left: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the answer as plain JSON values; the findings have a place of their own there."""
        return {
            "releases": list(self.releases),
            "wheels": self.wheels,
            "rows": [{**dataclasses.asdict(row), "kind": row.kind.value} for row in self.rows],
            "left": list(self.left),
            "notes": list(self.notes),
        }


@dataclasses.dataclass(frozen=True)
class _Wheel:
    """What is kept of a wheel once it is judged."""

    release: str
    platform: str
    python: str
    filename: str


_Group = list[tuple[PlatformMismatch, _Wheel]]


class WheelChecker:
    """Judges wheels as they come and keeps what was seen, not the wheels: there may be 40,000.

    `needs` is `data/artifacts.toml`.
    """

    def __init__(self, project: Project, index: Index, needs: Mapping[str, Any]) -> None:
        self._belongs = {
            file.filename: (release.version, file.tags)
            for release in project.releases
            for file in release.files
        }
        self._needs = needs
        self._checker = Checker(index)
        self._wheels: set[_Wheel] = set()
        self._groups: dict[tuple[FindingKind, str], _Group] = defaultdict(list)
        self._findings: list[AuditFinding] = []
        self._left: list[str] = []
        self._notes: set[str] = set()

    def add(self, gathered: WheelInspection) -> None:
        """Judge these wheels; those of another project are none of ours."""
        for contents in gathered.contents:
            if contents.filename not in self._belongs:
                continue
            looked = InspectedWheel(*self._belongs[contents.filename], contents)
            platform = looked.platform.text if looked.platform else "any"
            wheel = _Wheel(looked.release, platform, looked.python, contents.filename)
            self._wheels.add(wheel)
            self._notes.update(f"{contents.filename}: {note}" for note in contents.notes)
            for seen in _seen(looked, self._needs, self._checker):
                self._groups[seen.kind, seen.subject].append((seen, wheel))
        for error in gathered.refused:
            place = DocumentLine(error.source, 1, error.why)
            subject = f"wheel/{error.source}"
            self._findings.append(
                AuditFinding(FindingKind.ARTIFACT_REFUSED, subject, str(error), (place,))
            )
        self._left.extend(gathered.left)

    def result(self) -> WheelReport:
        """Return what does not fit in all wheels that were added."""
        releases = tuple(sorted({wheel.release for wheel in self._wheels}, key=Version))
        universe = {(wheel.platform, wheel.python, wheel.release) for wheel in self._wheels}
        kinds = list(FindingKind)
        rows, findings = [], list(self._findings)
        for (kind, subject), group in sorted(
            self._groups.items(), key=lambda item: (kinds.index(item[0][0]), item[0][1])
        ):
            # The newest is the one that can still be mended.
            newest = max(group, key=lambda pair: Version(pair[1].release))[0]
            where = _where(group, releases, universe)
            rows.append(WheelRow(kind, subject, newest.says, where))
            findings.append(_finding(kind, subject, newest, group, where))
        return WheelReport(
            releases=releases,
            wheels=len(self._wheels),
            rows=tuple(rows),
            findings=in_order(findings),
            left=tuple(self._left),
            notes=tuple(sorted(self._notes | set(self._checker.silent.values()))),
        )


def _seen(
    looked: InspectedWheel, needs: Mapping[str, Any], checker: Checker
) -> Iterator[PlatformMismatch]:
    yield from lacking_libraries(looked, needs)
    yield from misplaced_libraries(looked)
    yield from missing_modules(looked, needs)
    yield from undeclared_imports(looked, needs)
    yield from checker.unmet(looked)


def _finding(
    kind: FindingKind,
    subject: str,
    newest: PlatformMismatch,
    group: _Group,
    where: Sequence[WheelScope],
) -> AuditFinding:
    places: dict[str, DocumentLine] = {}
    for one, wheel in sorted(group, key=lambda pair: Version(pair[1].release), reverse=True):
        place = DocumentLine(f"{wheel.filename}!{one.member}", one.line or 1, one.says)
        # One for each release and line is enough: platforms are in the table.
        places.setdefault(f"{wheel.release} {one.member} {one.line}", place)
    says = f"{newest.says} ({'; '.join(map(str, where))})"
    return AuditFinding(kind, subject, says, tuple(places.values())[:_PLACES])


def _where(
    group: _Group,
    releases: Sequence[str],
    universe: set[tuple[str, str, str]],
) -> tuple[WheelScope, ...]:
    meant = {(wheel.platform, wheel.python, wheel.release) for _, wheel in group}
    found = {release for _, _, release in meant}
    if meant == {each for each in universe if each[2] in found}:
        return (WheelScope((), (), _words(runs_of(releases, found))),)
    words: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for platform, python in sorted({each[:2] for each in meant}, key=lambda key: _key(key[1])):
        ordered = [each for each in releases if (platform, python, each) in universe]
        here = [each for each in ordered if (platform, python, each) in meant]
        words[platform][_words(runs_of(ordered, here))].append(python)
    alike: dict[tuple[tuple[str, ...], str], list[str]] = defaultdict(list)
    for platform, said in sorted(words.items()):
        for text, pythons in said.items():
            alike[tuple(pythons), text].append(platform)
    return tuple(
        WheelScope(tuple(platforms), pythons, text) for (pythons, text), platforms in alike.items()
    )


def _words(runs: Sequence[ReleaseRange]) -> str:
    """Return the runs by their ends: of a few releases, `always` would say too much."""
    told = []
    for run in runs:
        text = run.first if run.first == run.last else f"{run.first} to {run.last}"
        told.append(text + (f" but not {', '.join(run.gaps)}" if run.gaps else ""))
    return ", ".join(told)


def _key(python: str) -> tuple[int, ...]:
    return python_key(python) if python else ()


def _span(pythons: Sequence[str]) -> str:
    """Return `cp27, cp36 to cp311`."""
    runs: list[list[str]] = []
    for python in pythons:
        last = runs[-1][-1] if runs else ""
        follows = last and python and _key(last)[0] == _key(python)[0]
        if follows and _key(last)[1] + 1 == _key(python)[1]:
            runs[-1].append(python)
        else:
            runs.append([python])
    named = [[f"cp{one.replace('.', '')}" if one else "py" for one in run] for run in runs]
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in named)


_MIB = 1 << 20


def look_inside(claims: Iterable[Claim], index: Index, scope: Scope) -> tuple[WheelReport, int]:
    """Return what is inside the wheels, and how many bytes were fetched for it.

    Raises `IndexUnavailableError` where the index says nothing of ddtrace.
    """
    project = index.project("ddtrace")
    needs: Mapping[str, Any] = read_data("artifacts")
    shelf = Releases(project)
    releases: Sequence[str] = [title.text for title in shelf.all]
    if not scope.every:
        releases = boundary_releases(shelf, claims)
    batches = [wheels_of(project, [each], every=scope.every) for each in reversed(releases)]
    every = sum(map(len, batches))
    end = time.monotonic() + scope.seconds
    judge = WheelChecker(project, index, needs)
    done = fetched = 0

    def tell(_: str) -> None:
        nonlocal done
        done += 1
        scope.tell(done, every)

    with contextlib.closing(HttpTransport()) as transport:
        for files in batches:
            # What is known of a release's files goes with it: all together would fill the memory.
            gathered = inspect_wheels(
                *(files, WheelCache(scope.cache_dir), transport),
                whole=whole_globs(needs),
                seconds=end - time.monotonic(),
                offline=scope.offline,
                tell=tell,
            )
            judge.add(gathered)
            fetched += gathered.fetched
    return judge.result(), fetched


def rows_of(found: WheelReport) -> tuple[tuple[str, str, str, str], ...]:
    """Return the table: what it is, of what, what is so, in which wheels."""
    words = explained()
    return tuple(
        (words[row.kind].title, row.subject, row.says, "\n".join(map(str, row.where)))
        for row in found.rows
    )


def remarks_of(found: WheelReport, fetched: int) -> tuple[str, ...]:
    """Return what a reader must know of how much was looked into."""
    releases = ", ".join(found.releases) or "(none)"
    how_many = f"{found.wheels} wheels were looked into, {fetched / _MIB:.0f} MiB fetched for it"
    ends = "without --every the oldest and the newest CPython of a platform stand for those between"
    remarks = [f"{how_many}; of ddtrace {releases}", f"ranges are of these releases; {ends}"]
    if found.left:
        remarks.append(f"not looked into, and so not judged: {len(found.left)} wheels")
    return (*remarks, *found.notes)
