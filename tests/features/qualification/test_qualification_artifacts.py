"""The file that a cell had installed: of those its lock accepts, the installer's choice."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.features.qualification.expected import Artifact, installed_artifact
from matrix.model.capture import CellLocation
from matrix.model.cell import Cell
from matrix.runs.record import CellRecord

NAMES = (
    "ddtrace-2.21.12.tar.gz",
    "ddtrace-2.21.12-cp39-cp39-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "ddtrace-2.21.12-cp39-cp39-manylinux_2_28_x86_64.whl",
    "ddtrace-2.21.12-cp39-cp39-musllinux_1_2_x86_64.whl",
    "ddtrace-2.21.12-cp39-cp39-manylinux_2_12_i686.manylinux2010_i686.whl",
    "ddtrace-2.21.12-cp310-cp310-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "ddtrace-2.21.12-cp27-cp27mu-manylinux1_x86_64.whl",
    "ddtrace-2.21.12-cp27-cp27m-manylinux1_x86_64.whl",
)
FILES = tuple(Artifact(name, f"{number:064x}") for number, name in enumerate(NAMES))
WHERE = CellLocation("", "", "Linux", "x86_64", 64, "glibc 2.36", "3.9.18", "3.9.18 (main)", "")


def cell_record(python: str, target: str, libc: str, accepted: tuple[str, ...]) -> CellRecord:
    cell = Cell(python, target, "flask", "2.2.3", "2.21.12")
    where = dataclasses.replace(WHERE, libc=libc, tracer=accepted)
    return CellRecord(
        cell=cell,
        probes=(),
        reason=None,
        detail="",
        seconds=1.0,
        reused=False,
        fallback=False,
        key="",
        started="2026-11-20T10:00:00+00:00",
        findings=(),
        where=where,
    )


ALL = tuple(file.sha256 for file in FILES)


@pytest.mark.parametrize(
    ("python", "target", "libc", "number"),
    [
        ("3.9", "linux_x86_64", "glibc 2.36", 2),
        ("3.9", "linux_x86_64", "glibc 2.17", 1),
        ("3.9", "linux_x86_64", "musl 1.2", 3),
        ("3.9", "linux_i686", "glibc 2.36", 4),
        ("3.10", "linux_x86_64", "glibc 2.36", 5),
        ("2.7", "linux_x86_64", "glibc 2.36", 6),
        # Where no wheel fits, the source is built.
        ("3.11", "linux_x86_64", "glibc 2.36", 0),
        # A C library of unknown version counts as a new one.
        ("3.9", "linux_x86_64", "what is this", 2),
    ],
)
def test_a_cell_had_the_best_wheel_for_it(python: str, target: str, libc: str, number: int) -> None:
    assert installed_artifact(cell_record(python, target, libc, ALL), FILES) == FILES[number]


def test_only_files_that_the_lock_accepts_count() -> None:
    one = cell_record("3.9", "linux_x86_64", "glibc 2.36", (ALL[1], "f" * 64))
    assert installed_artifact(one, FILES) == FILES[1]
    assert (
        installed_artifact(cell_record("3.9", "linux_x86_64", "glibc 2.36", ("f" * 64,)), FILES)
        is None
    )
    assert (
        installed_artifact(cell_record("3.9", "linux_x86_64", "glibc 2.36", (ALL[3],)), FILES)
        is None
    )
    assert installed_artifact(dataclasses.replace(one, where=None), FILES) is None


@given(st.permutations(FILES), st.sets(st.sampled_from(ALL)))
def test_the_order_of_the_files_changes_nothing(files: list[Artifact], accepted: set[str]) -> None:
    one = cell_record("3.9", "linux_x86_64", "glibc 2.36", tuple(sorted(accepted)))
    found = installed_artifact(one, files)
    assert found == installed_artifact(one, FILES)
    assert found is None or found.sha256 in accepted
