"""Inside the wheels: what each lacks or carries in vain, over releases and platforms."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from packaging.version import Version

from matrix.artifacts.gathering import Gathered
from matrix.audit.artifacts_imports import missing_modules, undeclared_imports
from matrix.audit.artifacts_libraries import lacking_libraries, misplaced_libraries
from matrix.audit.artifacts_requirements import Checker
from matrix.audit.artifacts_seen import Looked, Seen
from matrix.audit.finding import AuditFinding, FindingKind, Place, in_order
from matrix.audit.ranges import in_words
from matrix.index.protocol import Index
from matrix.model.index import Project
from matrix.planning.shelf import python_key

__all__ = ["Inside", "Row", "Where", "inside", "looked_at"]

# So many places are named for one finding; the table has the rest.
_PLACES = 5


@dataclasses.dataclass(frozen=True)
class Where:
    """The wheels that a row is about. No platform and no CPython stands for all of them.

    `releases` are in words, of those looked at that have such wheels (`always`, `only 1.20.19`).
    """

    platforms: tuple[str, ...]
    pythons: tuple[str, ...]
    releases: str

    def __str__(self) -> str:
        which = f"{', '.join(self.platforms)} {_span(self.pythons)}".strip()
        return f"{which or 'all wheels'}: {self.releases}"


@dataclasses.dataclass(frozen=True)
class Row:
    """One thing that does not fit, and in which wheels."""

    kind: FindingKind
    subject: str
    says: str
    where: tuple[Where, ...]


@dataclasses.dataclass(frozen=True)
class Inside:
    """The answer. `releases` were looked at, by `wheels` files; `left` were not reached.

    `notes` are about single members that could not be read, and projects the index is silent about.
    """

    releases: tuple[str, ...]
    wheels: int
    rows: tuple[Row, ...]
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


def looked_at(project: Project, gathered: Gathered) -> tuple[Looked, ...]:
    """Return the wheels that were looked into, each with the release it belongs to."""
    belongs = {
        file.filename: (release.version, file.tags)
        for release in project.releases
        for file in release.files
    }
    return tuple(
        Looked(*belongs[contents.filename], contents)
        for contents in gathered.contents
        if contents.filename in belongs
    )


def inside(project: Project, gathered: Gathered, index: Index, needs: Mapping[str, Any]) -> Inside:
    """Return what does not fit in the wheels; `needs` is `data/artifacts.toml`."""
    wheels = looked_at(project, gathered)
    checker = Checker(index)
    seen = [(one, looked) for looked in wheels for one in _seen(looked, needs, checker)]
    releases = tuple(sorted({looked.release for looked in wheels}, key=Version))
    universe = {(_platform(looked), looked.python, looked.release) for looked in wheels}
    groups: dict[tuple[FindingKind, str], list[tuple[Seen, Looked]]] = defaultdict(list)
    for one, looked in seen:
        groups[one.kind, one.subject].append((one, looked))
    kinds = list(FindingKind)
    rows, findings = [], list(_refused(gathered))
    for (kind, subject), group in sorted(
        groups.items(), key=lambda item: (kinds.index(item[0][0]), item[0][1])
    ):
        # The newest is the one that can still be mended.
        newest = max(group, key=lambda pair: Version(pair[1].release))[0]
        where = _where(group, releases, universe)
        rows.append(Row(kind, subject, newest.says, where))
        findings.append(_finding(kind, subject, newest, group, where))
    notes = {f"{one.contents.filename}: {note}" for one in wheels for note in one.contents.notes}
    notes |= set(checker.silent.values())
    return Inside(
        releases=releases,
        wheels=len(wheels),
        rows=tuple(rows),
        findings=in_order(findings),
        left=gathered.left,
        notes=tuple(sorted(notes)),
    )


def _seen(looked: Looked, needs: Mapping[str, Any], checker: Checker) -> Iterator[Seen]:
    yield from lacking_libraries(looked, needs)
    yield from misplaced_libraries(looked)
    yield from missing_modules(looked, needs)
    yield from undeclared_imports(looked, needs)
    yield from checker.unmet(looked)


def _refused(gathered: Gathered) -> Iterator[AuditFinding]:
    for error in gathered.refused:
        place = Place(error.source, 1, error.why)
        yield AuditFinding(
            FindingKind.ARTIFACT_REFUSED, f"wheel/{error.source}", str(error), (place,)
        )


def _finding(
    kind: FindingKind,
    subject: str,
    newest: Seen,
    group: Sequence[tuple[Seen, Looked]],
    where: Sequence[Where],
) -> AuditFinding:
    places: dict[str, Place] = {}
    for one, looked in sorted(group, key=lambda pair: Version(pair[1].release), reverse=True):
        place = Place(f"{looked.contents.filename}!{one.member}", one.line or 1, one.says)
        # One for each release and line is enough: platforms are in the table.
        places.setdefault(f"{looked.release} {one.member} {one.line}", place)
    says = f"{newest.says} ({'; '.join(map(str, where))})"
    return AuditFinding(kind, subject, says, tuple(places.values())[:_PLACES])


def _where(
    group: Iterable[tuple[Seen, Looked]],
    releases: Sequence[str],
    universe: set[tuple[str, str, str]],
) -> tuple[Where, ...]:
    meant = {(_platform(looked), looked.python, looked.release) for _, looked in group}
    found = {release for _, _, release in meant}
    if meant == {each for each in universe if each[2] in found}:
        return (Where((), (), in_words(releases, found)),)
    words: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for platform, python in sorted({each[:2] for each in meant}, key=lambda key: _key(key[1])):
        ordered = [each for each in releases if (platform, python, each) in universe]
        here = [each for each in ordered if (platform, python, each) in meant]
        words[platform][in_words(ordered, here)].append(python)
    alike: dict[tuple[tuple[str, ...], str], list[str]] = defaultdict(list)
    for platform, said in sorted(words.items()):
        for text, pythons in said.items():
            alike[tuple(pythons), text].append(platform)
    return tuple(
        Where(tuple(platforms), pythons, text) for (pythons, text), platforms in alike.items()
    )


def _platform(looked: Looked) -> str:
    return looked.platform.text if looked.platform else "any"


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
