"""Tests of tags for targets, compared with those of `packaging` for the running interpreter."""

from __future__ import annotations

import platform
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.tags import parse_tag, sys_tags

from matrix.pypi.tags import supported_platforms, supported_tags

MACHINES = ("linux_x86_64", "linux_i686", "linux_aarch64")


def accepts(tags: str, python: str, target: str, libc: str = "") -> bool:
    return not parse_tag(tags).isdisjoint(supported_tags(python, target, libc))


@pytest.mark.skipif(sys.platform != "linux", reason="asks for the C library of Linux")
def test_the_running_interpreter_is_told_its_own_tags_in_order() -> None:
    name, version = platform.libc_ver()
    target = f"linux_{platform.machine()}"
    ours = supported_tags(
        f"{sys.version_info[0]}.{sys.version_info[1]}", target, f"{name} {version}"
    )
    theirs = tuple(sys_tags())
    assert set(ours) == set(theirs)

    def ordered(tags: tuple[object, ...]) -> list[str]:
        # Where the plain one goes has changed, and no index takes wheels with it.
        return [str(tag) for tag in tags if not str(tag).endswith(f"-{target}")]

    assert ordered(ours) == ordered(theirs)


@pytest.mark.parametrize(
    ("tags", "python", "target", "libc"),
    [
        (
            "cp39-cp39-manylinux_2_17_x86_64.manylinux2014_x86_64",
            "3.9",
            "linux_x86_64",
            "glibc 2.17",
        ),
        ("cp27-cp27mu-manylinux1_i686", "2.7", "linux_i686", "glibc 2.31"),
        ("cp27-cp27mu-manylinux2010_x86_64", "2.7", "linux_x86_64", "glibc 2.31"),
        ("py2.py3-none-any", "2.7", "linux_aarch64", "glibc 2.31"),
        ("cp35-cp35m-manylinux1_x86_64", "3.5", "linux_x86_64", "glibc 2.24"),
        ("cp37-cp37m-manylinux2014_aarch64", "3.7", "linux_aarch64", "glibc 2.28"),
        ("cp36-abi3-manylinux_2_28_aarch64", "3.14", "linux_aarch64", "glibc 2.41"),
        ("cp311-cp311-musllinux_1_1_x86_64", "3.11", "linux_x86_64", "musl 1.2"),
        ("cp314-cp314-manylinux_2_34_x86_64", "3.14", "linux_x86_64", ""),
        ("py3-none-manylinux2014_x86_64", "3.12", "linux_x86_64", "glibc 2.36"),
        ("cp27-cp27m-win_amd64", "2.7", "win_amd64", ""),
        ("cp311-cp311-win32", "3.11", "win32", ""),
        ("cp27-cp27m-macosx_10_9_x86_64", "2.7", "macosx_x86_64", ""),
        ("cp311-cp311-macosx_10_9_universal2", "3.11", "macosx_arm64", "macos 14.2"),
        ("cp311-cp311-macosx_11_0_arm64", "3.11", "macosx_arm64", "macos 11.0"),
    ],
)
def test_wheels_that_install(tags: str, python: str, target: str, libc: str) -> None:
    assert accepts(tags, python, target, libc)


@pytest.mark.parametrize(
    ("tags", "python", "target", "libc"),
    [
        ("cp39-cp39-manylinux_2_28_x86_64", "3.9", "linux_x86_64", "glibc 2.27"),
        ("cp39-cp39-manylinux1_aarch64", "3.9", "linux_aarch64", "glibc 2.36"),
        ("cp39-cp39-manylinux2014_x86_64", "3.9", "linux_i686", "glibc 2.36"),
        ("cp39-cp39-manylinux2014_x86_64", "3.9", "linux_x86_64", "musl 1.2"),
        ("cp39-cp39-musllinux_1_1_x86_64", "3.9", "linux_x86_64", "glibc 2.36"),
        ("cp311-cp311-musllinux_1_2_x86_64", "3.11", "linux_x86_64", "musl 1.1"),
        ("cp27-cp27m-manylinux1_x86_64", "2.7", "linux_x86_64", "glibc 2.31"),
        ("cp38-cp38m-manylinux1_x86_64", "3.8", "linux_x86_64", "glibc 2.31"),
        ("cp312-abi3-manylinux2014_x86_64", "3.11", "linux_x86_64", "glibc 2.36"),
        ("py3-none-any", "2.7", "linux_x86_64", "glibc 2.31"),
        ("cp311-cp311-win32", "3.11", "win_amd64", ""),
        ("cp311-cp311-macosx_12_0_arm64", "3.11", "macosx_arm64", "macos 11.0"),
        ("cp311-cp311-macosx_10_9_x86_64", "3.11", "macosx_arm64", ""),
    ],
)
def test_wheels_that_do_not(tags: str, python: str, target: str, libc: str) -> None:
    assert not accepts(tags, python, target, libc)


@given(target=st.sampled_from(MACHINES), older=st.integers(17, 50), newer=st.integers(17, 50))
def test_a_newer_glibc_takes_all_that_an_older_one_does(
    target: str, older: int, newer: int
) -> None:
    older, newer = sorted((older, newer))
    ours = supported_platforms(target, f"glibc 2.{newer}")
    assert set(supported_platforms(target, f"glibc 2.{older}")) <= set(ours)
    assert len(set(ours)) == len(ours)


@given(minor=st.integers(5, 14), target=st.sampled_from(MACHINES))
def test_what_is_for_one_cpython_is_better_than_what_is_for_all(minor: int, target: str) -> None:
    tags = [str(tag) for tag in supported_tags(f"3.{minor}", target, "glibc 2.36")]
    assert len(set(tags)) == len(tags)
    own, stable = f"cp3{minor}-cp3{minor}", f"cp3{minor}-abi3"
    first = [
        next(i for i, tag in enumerate(tags) if tag.startswith(start))
        for start in (own, stable, f"cp3{minor}-none", "py3")
    ]
    assert first == sorted(first)
    assert tags[-1] == "py30-none-any"


@pytest.mark.parametrize("libc", ["2.x", "uclibc 1.0"])
def test_a_c_library_that_is_none_is_refused(libc: str) -> None:
    with pytest.raises(ValueError, match="invalid C library"):
        supported_platforms("linux_x86_64", libc)
