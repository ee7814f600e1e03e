"""The committed snapshot of releases: a plan by it is the plan by the index it was made of."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest
from helpers.planning_fixture import page, world
from hypothesis import given
from hypothesis import strategies as st

from matrix.documents.facts import load_facts
from matrix.errors import IndexUnavailableError
from matrix.features.audit.index import static_evidence
from matrix.model.index import File, Project, ReleaseFiles
from matrix.planning.planner import make_plan
from matrix.pypi.pages import requirement_of
from matrix.pypi.snapshot import (
    SNAPSHOT,
    RecordingIndex,
    Snapshot,
    SnapshotIndex,
    dump_snapshot,
    load_snapshot,
)

READ = dt.datetime(2024, 12, 31, 23, 0, 0, 5, tzinfo=dt.timezone.utc)
FILES = st.lists(
    st.builds(
        lambda requires, tags, yanked: File("", "", "", None, requires, yanked, tags),
        st.sampled_from(["", ">=3.7", ">=2.7, !=3.0.*", "not a specifier \u00e9"]),
        st.sampled_from(["", "py3-none-any", "cp39-cp39-manylinux1_x86_64"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
).map(lambda files: tuple(sorted(files, key=lambda f: (f.requires_python, f.yanked, f.tags))))
RELEASES = st.builds(
    lambda version, uploaded, files: ReleaseFiles(
        version, uploaded, all(file.yanked for file in files), requirement_of(files), files
    ),
    st.sampled_from(["1.0", "1.0rc1", "2.0.post1", "1!3"]),
    st.none() | st.datetimes(timezones=st.just(dt.timezone.utc)),
    FILES,
)
PROJECTS = st.builds(
    lambda name, releases: Project(name, READ, tuple(releases)),
    st.sampled_from(["a", "b-c", "ddtrace"]),
    st.lists(RELEASES, max_size=4),
)


@given(st.lists(PROJECTS, min_size=1, unique_by=lambda project: project.name))
def test_what_is_written_is_read(projects: list[Project]) -> None:
    text = dump_snapshot(projects)
    assert dump_snapshot(reversed(projects)) == text
    snapshot = load_snapshot(text.encode())
    assert snapshot == Snapshot(READ, {project.name: project for project in projects})
    assert dump_snapshot(snapshot.projects.values()) == text


def text_of_the_world() -> bytes:
    recording = RecordingIndex(world())
    for name in world().projects:
        recording.project(name)
    return dump_snapshot(recording.projects.values()).encode()


def test_a_plan_and_its_evidence_are_those_by_the_index() -> None:
    claims = page()
    asked = dataclasses.replace(world(), projects={})
    index = SnapshotIndex(load_snapshot(text_of_the_world()), asked)
    targets = ("linux_x86_64", "linux_i686")
    for profile in ("smoke", "exhaustive"):
        plan = make_plan(claims, index, profile=profile, targets=targets)
        assert plan == make_plan(claims, world(), profile=profile, targets=targets)
        assert plan.cells
    assert static_evidence(claims, index) == static_evidence(claims, world())
    assert set(asked.requested).isdisjoint(world().projects)


def test_what_the_snapshot_lacks_is_read_from_the_index() -> None:
    asked = dataclasses.replace(world(), projects={})
    index = SnapshotIndex(load_snapshot(text_of_the_world()), asked)
    with pytest.raises(IndexUnavailableError):
        index.project("something-else")
    assert asked.requested == ["something-else"]


@pytest.mark.parametrize("change", [(b"1.9.0", b"1.9.1"), (b'"format"', b'"farmot"'), (b"{", b"[")])
def test_a_damaged_snapshot_is_an_error(change: tuple[bytes, bytes]) -> None:
    content = text_of_the_world()
    damaged = content.replace(*change, 1)
    assert damaged != content
    with pytest.raises(ValueError, match=r"\w"):
        load_snapshot(damaged)


def test_the_committed_snapshot_has_all_that_the_committed_facts_need() -> None:
    snapshot = load_snapshot(SNAPSHOT.read_bytes())
    nothing = dataclasses.replace(world(), projects={})
    index = SnapshotIndex(snapshot, nothing)
    plan = make_plan(load_facts(), index, targets=("linux_x86_64",))
    assert nothing.requested == []
    assert plan.snapshot == snapshot.fetched
    assert plan.cells
    assert dump_snapshot(snapshot.projects.values()).encode() == SNAPSHOT.read_bytes()
