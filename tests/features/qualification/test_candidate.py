"""Candidates: a release of an index, or unpublished wheels."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import hashlib
import os
import random
import sys
import zipfile
from pathlib import Path

import pytest
from helpers.planning_fixture import FakeIndex, world
from helpers.tree_fakes import wheel

from matrix.environments.download import unpack
from matrix.environments.errors import BuildError
from matrix.errors import IndexUnavailableError, UnreadableInputError, UsageError
from matrix.features.qualification.candidate import Candidate, candidate_from
from matrix.model.index import Project
from matrix.pypi.client import Index

TODAY = dt.date(2026, 11, 20)
TAGS = "cp39-cp39-manylinux_2_17_x86_64.manylinux2014_x86_64"


def write_wheel(folder: Path, version: str, tags: str = TAGS, *, name: str = "ddtrace") -> Path:
    path = folder / f"{name}-{version}-{tags}.whl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wheel(name, version))
    return path


def candidate(*wheels: Path, ddtrace: str = "") -> Candidate:
    return candidate_from(ddtrace, wheels, "", world(), today=TODAY)


def test_wheels_are_one_release_with_their_hashes_and_tags(tmp_path: Path) -> None:
    paths = [
        write_wheel(tmp_path, "2.21.13"),
        write_wheel(tmp_path, "2.21.13", "cp310-cp310-win_amd64"),
    ]
    found = candidate(*paths)
    assert (found.version, found.wheels) == ("2.21.13", tuple(path.resolve() for path in paths))
    assert [file.tags for file in found.files] == [TAGS, "cp310-cp310-win_amd64"]
    assert found.files[0].sha256 == hashlib.sha256(paths[0].read_bytes()).hexdigest()
    assert found.files[0].url == paths[0].resolve().as_uri()
    assert found.override == found.release


def test_the_index_overlay_has_only_the_candidate_s_own_files(tmp_path: Path) -> None:
    index = world()
    new, again = (
        candidate(write_wheel(tmp_path, "2.21.13")),
        candidate(write_wheel(tmp_path, "2.21.12")),
    )
    releases = new.overlay(index).project("ddtrace").releases
    versions = [release.version for release in releases]
    assert versions.index("2.21.13") == versions.index("2.21.12") + 1
    replaced = [
        release
        for release in again.overlay(index).project("ddtrace").releases
        if release.version == "2.21.12"
    ]
    assert [release.files for release in replaced] == [again.files]
    assert again.overlay(index).project("django") == index.project("django")


def test_unpublished_candidates_are_resolved_as_of_today(tmp_path: Path) -> None:
    found = candidate(write_wheel(tmp_path, "2.21.13"))
    assert found.uploaded.date() + dt.timedelta(days=1) == TODAY


@pytest.mark.parametrize("version", ["2.21.13+g1234", "2.21.13rc1", "2.21.13.dev3"])
def test_local_and_pre_releases_are_candidates(tmp_path: Path, version: str) -> None:
    assert candidate(write_wheel(tmp_path, version), ddtrace=version).version == version


def test_a_glob_that_no_shell_expanded_is_expanded(tmp_path: Path) -> None:
    write_wheel(tmp_path, "2.21.13")
    assert len(candidate(tmp_path / "*.whl").files) == 1


def test_all_problems_of_wheels_are_reported_at_once(tmp_path: Path) -> None:
    good = write_wheel(tmp_path, "2.21.13")
    twin = write_wheel(tmp_path / "twin", "2.21.13")
    twin.write_bytes(wheel("ddtrace", "2.21.13", {"other.py": ""}))
    torn = write_wheel(tmp_path, "2.21.13", "cp311-cp311-win_amd64")
    torn.write_bytes(b"PK")
    lying = write_wheel(tmp_path, "2.21.13", "cp312-cp312-win_amd64")
    lying.write_bytes(wheel("ddtrace", "2.21.12"))
    odd = tmp_path / "ddtrace.whl"
    odd.write_bytes(b"")
    with pytest.raises(UnreadableInputError) as caught:
        candidate(
            *(good, twin, torn, lying, odd),
            *(
                write_wheel(tmp_path, "2.21.14"),
                write_wheel(tmp_path, "1.0", name="shop"),
                tmp_path / "none.whl",
            ),
        )
    for problem in (
        "another file than",
        "it is not a zip archive",
        "its metadata is of ddtrace 2.21.12",
        "ddtrace.whl: invalid wheel file name",
        "it is of version 2.21.14",
        "it is of shop",
        "none.whl",
    ):
        assert problem in caught.value.message


def test_wheels_of_another_version_than_requested_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UnreadableInputError, match=r"of version 2\.21\.13, --ddtrace says 2\.21\.12"
    ):
        candidate(write_wheel(tmp_path, "2.21.13"), ddtrace="2.21.12")


def test_a_release_of_the_default_index_has_no_override() -> None:
    found = candidate_from("2.21.12", (), "", world())
    assert found.override is None
    assert found.uploaded == dt.datetime(2024, 10, 24, 12, tzinfo=dt.timezone.utc)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("2.21.21", r"not on the package index; did you mean '2\.21\.12'\?"),
        ("1.20.20", "was yanked"),
        ("two", "invalid version 'two' for --ddtrace"),
        ("", "no release to qualify"),
    ],
)
def test_an_unusable_release_is_reported(version: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        candidate_from(version, (), "", world())


def test_a_release_of_another_index_overrides_its_files() -> None:
    project = world().project("ddtrace")
    release = next(one for one in project.releases if one.version == "2.21.12")
    changed = tuple(dataclasses.replace(file, sha256="e" * 64) for file in release.files)
    own = dataclasses.replace(release, files=changed, uploaded=None)
    opened: list[str] = []

    def open_index(url: str) -> Index:
        opened.append(url)
        return FakeIndex({"ddtrace": Project("ddtrace", project.fetched, (own,))})

    url = "https://staging.example/simple"
    found = candidate_from("2.21.12", (), url, world(), open_index=open_index, today=TODAY)
    assert opened == [url]
    assert found.override is not None
    assert {file.sha256 for file in found.override.files} == {"e" * 64}
    assert found.uploaded.date() < TODAY


def test_an_index_that_does_not_answer_is_not_a_missing_release() -> None:
    with pytest.raises(IndexUnavailableError):
        candidate_from(
            "2.21.12", (), "https://x.example", world(), open_index=lambda _: FakeIndex({})
        )


def test_wheels_and_an_index_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        candidate_from("", [write_wheel(tmp_path, "2.0")], "https://x.example", world())


@pytest.mark.skipif(sys.platform == "win32", reason="it has no FIFO")
def test_a_wheel_that_is_no_file_is_named_and_not_waited_for(tmp_path: Path) -> None:
    name = f"ddtrace-2.21.13-{TAGS}.whl"
    paths = [tmp_path / name, tmp_path / ("n" * 300), tmp_path / "missing" / name]
    if sys.platform != "win32":
        os.mkfifo(paths[0])
    with pytest.raises(UnreadableInputError) as caught:
        candidate(*paths)
    assert "it is not a regular file" in caught.value.message
    assert caught.value.message.count("\n") == len(paths)


def test_a_wheel_that_is_damaged_anywhere_is_named(tmp_path: Path) -> None:
    path = tmp_path / f"ddtrace-2.21.13-{TAGS}.whl"
    chance = random.Random(8)  # noqa: S311 - the same each time
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        words = " ".join(str(chance.randrange(1000)) for _ in range(2000))
        archive.writestr("ddtrace/__init__.py", words)
        text = f"Name: ddtrace\nVersion: 2.21.13\n\n{words}"
        archive.writestr("ddtrace-2.21.13.dist-info/METADATA", text)
    whole = path.read_bytes()
    (first,) = candidate(path).files
    refused: list[str] = []
    for number in range(400):
        changed = bytearray(whole)
        # Every other one in the directory at the end, which is small.
        least = 0 if number % 2 else len(whole) - 250
        changed[chance.randrange(least, len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
        unpacked = tmp_path / "unpacked" / str(number)
        with contextlib.suppress(BuildError):
            unpack(path, unpacked)
        try:
            (file,) = candidate(path).files
        except UnreadableInputError as error:
            refused.append(error.message)
        else:
            assert file.sha256 != first.sha256
    assert len(refused) > 200
    assert all(path.name in message for message in refused)
