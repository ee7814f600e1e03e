"""Files of a release chosen for an image, and uv's name of the image's platform."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest
from helpers.environment_fakes import published
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.tags import parse_tag

from matrix.environments.download import FileChoice, FileTarget, choose
from matrix.environments.errors import BuildError
from matrix.environments.image_trees import uv_platform
from matrix.environments.lock import LockedFile
from matrix.model.index import File, Project, ReleaseFiles
from matrix.model.reason import Reason
from matrix.pypi.tags import supported_tags

TAGS = supported_tags("3.11", "linux_i686", "glibc 2.31")
TARGET = FileTarget("3.11.2", TAGS, "CPython 3.11 on linux_i686")
ANY = FileChoice(before=None, hashes=False, only_binary=False)
DAY = "2023-01-01"
WHEELS = (
    "cp311-cp311-manylinux_2_5_i686.manylinux1_i686",
    "cp311-cp311-manylinux_2_28_i686",
    "cp37-abi3-manylinux2014_i686",
    "cp311-none-any",
    "py3-none-any",
    "py2.py3-none-any",
    "cp311-cp311-manylinux2014_x86_64",
    "cp311-cp311-musllinux_1_1_i686",
    "cp310-cp310-manylinux2014_i686",
)


def project_of(*files: File) -> Project:
    release = ReleaseFiles("2.0", files[0].uploaded, yanked=False, requires_python="", files=files)
    return Project("shop", dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc), (release,))


def file(tags: str = "", **others: object) -> File:
    return dataclasses.replace(published("shop", "2.0", DAY, tags=tags), **others)  # type: ignore[arg-type]


def chosen(*files: File, choice: FileChoice = ANY, hashes: tuple[str, ...] = ()) -> str:
    return choose(LockedFile("shop", "2.0", hashes), project_of(*files), TARGET, choice).filename


@settings(max_examples=40)
@given(st.permutations([*WHEELS, ""]))
def test_the_best_file_is_chosen_whatever_their_order(tags: list[str]) -> None:
    files = [file(item) for item in tags]
    assert chosen(*files) == "shop-2.0-cp311-cp311-manylinux_2_28_i686.whl"


@settings(max_examples=60)
@given(st.lists(st.sampled_from(WHEELS), min_size=1, unique=True))
def test_no_better_wheel_is_left(tags: list[str]) -> None:
    def rank(item: str) -> int:
        return min((TAGS.index(tag) for tag in parse_tag(item) if tag in TAGS), default=len(TAGS))

    best = min(map(rank, tags))
    if best == len(TAGS):
        with pytest.raises(BuildError, match="no source distribution"):
            chosen(*map(file, tags))
    else:
        best_file = chosen(*map(file, tags))
        assert rank(best_file.removeprefix("shop-2.0-").removesuffix(".whl")) == best


def test_a_source_only_where_no_wheel_fits_and_none_is_demanded() -> None:
    files = (file(WHEELS[6]), file())
    assert chosen(*files) == "shop-2.0.tar.gz"
    with pytest.raises(BuildError, match="has no wheel for CPython") as caught:
        chosen(*files, choice=dataclasses.replace(ANY, only_binary=True))
    assert caught.value.reason is Reason.NO_WHEEL


def test_a_higher_build_number_is_better() -> None:
    names = [f"shop-2.0-{build}-py3-none-any.whl" for build in ("9", "10")]
    files = [file("py3-none-any", filename=name) for name in names]
    assert chosen(*files) == names[1]


def test_what_was_uploaded_later_does_not_count() -> None:
    moment = dt.datetime(2023, 2, 1, tzinfo=dt.timezone.utc)
    late = file(WHEELS[0], uploaded=moment)
    choice = dataclasses.replace(ANY, before=moment)
    assert chosen(late, file(WHEELS[4]), choice=choice) == "shop-2.0-py3-none-any.whl"
    with pytest.raises(BuildError) as caught:
        chosen(late, choice=choice)
    assert caught.value.reason is Reason.NO_RELEASE


def test_only_what_the_lock_names_counts() -> None:
    better, worse = file(WHEELS[0]), file(WHEELS[4])
    choice = dataclasses.replace(ANY, hashes=True)
    assert chosen(better, worse, choice=choice, hashes=(worse.sha256,)) == worse.filename


def test_a_file_without_a_hash_is_not_taken() -> None:
    with pytest.raises(BuildError):
        chosen(file(WHEELS[0], sha256=""))


def test_a_file_for_other_pythons_is_not_taken() -> None:
    with pytest.raises(BuildError, match=r"requires Python >=3\.12") as caught:
        chosen(file("py3-none-any", requires_python=">=3.12"))
    assert caught.value.reason is Reason.REQUIRES_PYTHON


def test_a_yanked_file_is_taken_only_where_there_is_no_other() -> None:
    yanked, other = file(WHEELS[0], yanked=True), file("py3-none-any")
    assert chosen(yanked, other) == other.filename
    assert chosen(yanked) == yanked.filename


@pytest.mark.parametrize(
    ("target", "libc", "platform"),
    [
        ("linux_x86_64", "glibc 2.36", "x86_64-manylinux_2_36"),
        ("linux_i686", "glibc 2.31", "x86_64-manylinux_2_31"),
        ("linux_aarch64", "glibc 2.42", "aarch64-manylinux_2_40"),
        ("linux_x86_64", "glibc 2.24", "x86_64-manylinux_2_17"),
        ("linux_x86_64", "glibc 2.12", "x86_64-manylinux_2_17"),
        ("linux_aarch64", "musl 1.2", "aarch64-unknown-linux-musl"),
    ],
)
def test_what_uv_calls_a_target(target: str, libc: str, platform: str) -> None:
    assert uv_platform(target, libc) == platform


@pytest.mark.parametrize(
    ("target", "libc"), [("linux_s390x", "glibc 2.36"), ("win32", "glibc 2.36"), ("linux_i686", "")]
)
def test_what_uv_does_not_know_is_refused(target: str, libc: str) -> None:
    with pytest.raises(BuildError, match="cannot resolve for"):
        uv_platform(target, libc)
