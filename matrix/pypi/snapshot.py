"""The committed snapshot of what was released when, as plans need it: `matrix/facts/releases.json`.

It has the projects that a plan of the committed claims reads: versions with their upload times, and
of their files the tags, `Requires-Python` and whether they are yanked. Names, addresses and hashes
of files are left out, which no plan reads; releases with equal files share them. `python -m matrix
plan --write-releases` makes it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from packaging.utils import canonicalize_name

from matrix.errors import IndexUnavailableError
from matrix.model.index import File, Project, ReleaseFiles
from matrix.pypi.client import Index
from matrix.pypi.pages import requirement_of
from matrix.system.paths import facts_dir
from matrix.system.stamps import stamp, unstamp

SNAPSHOT = facts_dir() / "releases.json"
_FORMAT = "releases/1"
_SOURCE = "source"

_Kind = tuple[str, bool, str]
"""Of a file: `Requires-Python`, whether it is yanked, and its tags."""


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """Projects by name, as the index had them at `fetched`."""

    fetched: dt.datetime
    projects: Mapping[str, Project]


@dataclasses.dataclass(frozen=True)
class SnapshotIndex:
    """An `Index` of the projects of a snapshot, and of `index` for all others."""

    snapshot: Snapshot
    index: Index

    def project(self, name: str) -> Project:
        """Return all releases of `name`; raise what `index` raises for one not in the snapshot."""
        found = self.snapshot.projects.get(str(canonicalize_name(name)))
        return self.index.project(name) if found is None else found


@dataclasses.dataclass
class RecordingIndex:
    """The answers of `index`, which are kept in `projects`, and its errors in `failed`."""

    index: Index
    projects: dict[str, Project] = dataclasses.field(default_factory=dict)
    failed: dict[str, IndexUnavailableError] = dataclasses.field(default_factory=dict)

    def project(self, name: str) -> Project:
        """Return all releases of `name`; raise what `index` raises."""
        try:
            project = self.index.project(name)
        except IndexUnavailableError as error:
            self.failed[str(canonicalize_name(name))] = error
            raise
        self.projects[project.name] = project
        return project


def load_snapshot(content: bytes) -> Snapshot:
    """Return the snapshot of a file; raise ValueError where it is damaged."""
    try:
        data: dict[str, Any] = json.loads(unstamp(content))
        if data["format"] != _FORMAT:
            raise ValueError(f"not {_FORMAT}")
        fetched = dt.datetime.fromisoformat(data["fetched"])
        return Snapshot(
            fetched,
            {name: _project(name, fetched, item) for name, item in data["projects"].items()},
        )
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"not {_FORMAT}: {error}") from error


def dump_snapshot(projects: Iterable[Project]) -> str:
    """Return the text of a snapshot: a line for each release, and for each set of equal files."""
    ordered = sorted(projects, key=lambda project: project.name)
    fetched = min(project.fetched for project in ordered)
    parts = [f"{json.dumps(project.name)}:{_dump_project(project)}" for project in ordered]
    head = f'"format":{json.dumps(_FORMAT)},\n"fetched":{json.dumps(fetched.isoformat())},'
    return stamp("{\n" + head + '\n"projects":{\n' + ",\n".join(parts) + "\n}}\n")


def _dump_project(project: Project) -> str:
    numbers: dict[tuple[_Kind, ...], int] = {}
    releases = []
    for release in project.releases:
        kinds = tuple(
            sorted((file.requires_python, file.yanked, file.tags) for file in release.files)
        )
        number = numbers.setdefault(kinds, len(numbers))
        uploaded = release.uploaded.isoformat() if release.uploaded else ""
        releases.append(_json([release.version, uploaded, number]))
    files = (_json(_grouped(kinds)) for kinds in numbers)
    return '{"files":[\n' + ",\n".join(files) + '],\n"releases":[\n' + ",\n".join(releases) + "]}"


def _grouped(kinds: Iterable[_Kind]) -> list[list[str | int]]:
    """Return rows of `Requires-Python`, whether yanked, and all tags with these."""
    tags: dict[tuple[str, bool], list[str]] = {}
    for requires, yanked, text in kinds:
        tags.setdefault((requires, yanked), []).append(text or _SOURCE)
    return [[requires, int(yanked), " ".join(texts)] for (requires, yanked), texts in tags.items()]


def _project(name: str, fetched: dt.datetime, data: Mapping[str, Any]) -> Project:
    files = [_files(rows) for rows in data["files"]]
    requires = [requirement_of(items) for items in files]
    yanked = [all(file.yanked for file in items) for items in files]
    releases = tuple(
        ReleaseFiles(
            version,
            dt.datetime.fromisoformat(uploaded) if uploaded else None,
            yanked[number],
            requires[number],
            files[number],
        )
        for version, uploaded, number in data["releases"]
    )
    return Project(name, fetched, releases)


def _files(rows: Sequence[Sequence[Any]]) -> tuple[File, ...]:
    return tuple(
        File("", "", "", None, requires, bool(yanked), "" if tags == _SOURCE else tags)
        for requires, yanked, texts in rows
        for tags in texts.split(" ")
    )


def _json(data: object) -> str:
    return json.dumps(data, separators=(",", ":"))
