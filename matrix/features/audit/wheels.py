"""Problems inside wheels, grouped over releases and platforms into findings and a table."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any, TypeAlias

from packaging.version import Version

from matrix.features.audit.findings import AuditFinding, DocumentLine, FindingKind, sort_findings
from matrix.features.audit.versions import group_releases
from matrix.features.audit.wheel_imports import RequirementChecker, import_problems
from matrix.features.audit.wheel_libraries import library_problems, required_library_globs
from matrix.features.audit.wheel_platforms import (
    InspectedWheel,
    InspectionScope,
    WheelProblem,
    boundary_releases,
    python_order,
    select_wheels,
)
from matrix.model.claim import Claim
from matrix.model.index import Project
from matrix.pypi.client import Index
from matrix.pypi.inspect import WheelCache
from matrix.pypi.releases import Releases
from matrix.pypi.remote_file import HttpTransport
from matrix.pypi.wheel_batches import WheelInspection, inspect_batches

# The largest number of places of a finding; the table has the others.
_MAX_PLACES = 5
# The longest inspection.
_SECONDS = 1800.0


@dataclasses.dataclass(frozen=True)
class WheelScope:
    """The wheels of a row; without platforms and CPythons, all wheels of the releases.

    `releases` are ranges in words (`1.9.0 to 4.16.0`) of the inspected releases with such wheels.
    """

    platforms: tuple[str, ...]
    pythons: tuple[str, ...]
    releases: str

    def __str__(self) -> str:
        wheels = f"{', '.join(self.platforms)} {_describe_pythons(self.pythons)}".strip()
        return f"{wheels or 'all wheels'}: {self.releases}"


@dataclasses.dataclass(frozen=True)
class WheelRow:
    """A problem and the wheels that have it."""

    kind: FindingKind
    subject: str
    says: str
    where: tuple[WheelScope, ...]


@dataclasses.dataclass(frozen=True)
class WheelReport:
    """The problems in a number of inspected wheels; those in `left` were not inspected.

    `notes` are about members that could not be read, and projects that the index does not have.
    """

    releases: tuple[str, ...]
    wheels: int
    rows: tuple[WheelRow, ...]
    findings: tuple[AuditFinding, ...]
    left: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the report without its findings as JSON values."""
        data = dataclasses.asdict(self)
        del data["findings"]
        return data


@dataclasses.dataclass(frozen=True)
class _CheckedWheel:
    """A wheel without its contents."""

    release: str
    platform: str
    python: str
    filename: str


_Group: TypeAlias = list[tuple[WheelProblem, _CheckedWheel]]


class WheelChecker:
    """Collects the problems of up to 40,000 wheels without keeping their contents."""

    def __init__(self, project: Project, index: Index) -> None:
        self._files = {
            file.filename: (release.version, file.tags)
            for release in project.releases
            for file in release.files
        }
        self._requirements = RequirementChecker(index)
        self._wheels: set[_CheckedWheel] = set()
        self._groups: dict[tuple[FindingKind, str], _Group] = defaultdict(list)
        self._findings: list[AuditFinding] = []
        self._left: list[str] = []
        self._notes: set[str] = set()

    def add(self, inspection: WheelInspection) -> None:
        """Check these wheels; those of another project are skipped."""
        for contents in inspection.contents:
            if contents.filename not in self._files:
                continue
            inspected = InspectedWheel(*self._files[contents.filename], contents)
            platform = inspected.platform.text if inspected.platform else "any"
            wheel = _CheckedWheel(inspected.release, platform, inspected.python, contents.filename)
            self._wheels.add(wheel)
            self._notes.update(f"{contents.filename}: {note}" for note in contents.notes)
            for problem in (
                *library_problems(inspected),
                *import_problems(inspected),
                *self._requirements.unmet(inspected),
            ):
                self._groups[problem.kind, problem.subject].append((problem, wheel))
        for error in inspection.refused:
            place = DocumentLine(error.source, 1, error.detail)
            subject = f"wheel/{error.source}"
            self._findings.append(
                AuditFinding(FindingKind.ARTIFACT_REFUSED, subject, str(error), (place,))
            )
        self._left.extend(inspection.skipped)

    def result(self) -> WheelReport:
        """Return the problems of all wheels that were added."""
        releases = tuple(sorted({wheel.release for wheel in self._wheels}, key=Version))
        all_wheels = {(wheel.platform, wheel.python, wheel.release) for wheel in self._wheels}
        kinds = list(FindingKind)
        rows, findings = [], list(self._findings)
        for (kind, subject), group in sorted(
            self._groups.items(), key=lambda item: (kinds.index(item[0][0]), item[0][1])
        ):
            newest = max(group, key=lambda pair: Version(pair[1].release))[0]
            where = _scopes(group, releases, all_wheels)
            rows.append(WheelRow(kind, subject, newest.says, where))
            findings.append(_finding(kind, subject, newest, group, where))
        return WheelReport(
            releases=releases,
            wheels=len(self._wheels),
            rows=tuple(rows),
            findings=sort_findings(findings),
            left=tuple(self._left),
            notes=tuple(sorted(self._notes | set(self._requirements.unavailable.values()))),
        )


def _finding(
    kind: FindingKind,
    subject: str,
    newest: WheelProblem,
    group: _Group,
    where: Sequence[WheelScope],
) -> AuditFinding:
    places: dict[str, DocumentLine] = {}
    for problem, wheel in sorted(group, key=lambda pair: Version(pair[1].release), reverse=True):
        member = f"{wheel.filename}!{problem.member}"
        place = DocumentLine(member, problem.line or 1, problem.says)
        # One place for each release and line; the platforms are in the table.
        places.setdefault(f"{wheel.release} {problem.member} {problem.line}", place)
    says = f"{newest.says} ({'; '.join(map(str, where))})"
    return AuditFinding(kind, subject, says, tuple(places.values())[:_MAX_PLACES])


def _scopes(
    group: _Group, releases: Sequence[str], all_wheels: set[tuple[str, str, str]]
) -> tuple[WheelScope, ...]:
    """Return the wheels of a group, with platforms of equal CPythons and releases in one scope."""
    wheels = {(wheel.platform, wheel.python, wheel.release) for _, wheel in group}
    group_versions = {release for _, _, release in wheels}
    if wheels == {wheel for wheel in all_wheels if wheel[2] in group_versions}:
        return (WheelScope((), (), _ranges(releases, group_versions)),)
    by_platform: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for platform, python in sorted(
        {key[:2] for key in wheels}, key=lambda key: python_order(key[1])
    ):
        of_both = [release for release in releases if (platform, python, release) in all_wheels]
        affected = [release for release in of_both if (platform, python, release) in wheels]
        by_platform[platform][_ranges(of_both, affected)].append(python)
    joined: dict[tuple[tuple[str, ...], str], list[str]] = defaultdict(list)
    for platform, by_ranges in sorted(by_platform.items()):
        for ranges, pythons in by_ranges.items():
            joined[tuple(pythons), ranges].append(platform)
    return tuple(
        WheelScope(tuple(platforms), pythons, ranges)
        for (pythons, ranges), platforms in joined.items()
    )


def _ranges(ordered: Sequence[str], selected: Collection[str]) -> str:
    """Return ranges by their ends; with few inspected releases, `always` would claim too much."""
    return ", ".join(map(str, group_releases(ordered, selected)))


def _describe_pythons(pythons: Sequence[str]) -> str:
    """Return CPythons as ranges of tags, e.g. `cp27, cp36 to cp311`."""
    runs: list[list[str]] = []
    for python in pythons:
        last = runs[-1][-1] if runs else ""
        same_major = last and python and python_order(last)[0] == python_order(python)[0]
        if same_major and python_order(last)[1] + 1 == python_order(python)[1]:
            runs[-1].append(python)
        else:
            runs.append([python])
    tags = [[f"cp{python.replace('.', '')}" if python else "py" for python in run] for run in runs]
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in tags)


def inspect_artifacts(
    claims: Iterable[Claim], index: Index, scope: InspectionScope
) -> tuple[WheelReport, int]:
    """Inspect wheels of ddtrace; return the report and the number of bytes that were downloaded.

    Raises `IndexUnavailableError` if neither the index nor the cache has ddtrace.
    """
    project = index.project("ddtrace")
    final = Releases(project)
    releases: Sequence[str] = [release.text for release in final.all]
    if not scope.every:
        releases = boundary_releases(final, claims)
    batches = [
        select_wheels(project, [release], every=scope.every) for release in reversed(releases)
    ]
    total = sum(map(len, batches))
    checker = WheelChecker(project, index)
    done = itertools.count(1)
    fetched = 0

    def report(_: str) -> None:
        scope.report(next(done), total)

    with contextlib.closing(HttpTransport()) as transport:
        # One release after the other, because the contents of all would not fit in memory.
        inspections = inspect_batches(
            *(batches, functools.partial(WheelCache, scope.cache_dir), transport),
            whole=required_library_globs(),
            seconds=_SECONDS,
            offline=scope.offline,
            report=report,
        )
        with contextlib.closing(inspections):
            for inspection in inspections:
                checker.add(inspection)
                fetched += inspection.fetched
    return checker.result(), fetched
