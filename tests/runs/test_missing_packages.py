"""Debian packages that a build takes: named where it fails, and only those that are not here."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from matrix.environments.errors import BuildError
from matrix.environments.requirements import apt_command, missing_packages
from matrix.model.cell import Cell
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.probes.integrations import find_integration
from matrix.runs import environments as packages
from matrix.runs.environments import missing_build_packages, packages_in_errors

STATUS = """\
Package: gcc
Status: install ok installed
Priority: optional

Package: libpq-dev
Status: deinstall ok config-files
Priority: optional
"""
PSYCOPG = PlannedCell(
    Cell("3.9", "linux_x86_64", "psycopg", "2.4", "2.0.0"),
    dt.date(2024, 1, 1),
    ("integration-psycopg",),
)
DJANGO = PlannedCell(Cell("3.9", "linux_x86_64", "django", "3.2", "2.0.0"), dt.date(2024, 1, 1), ())


@pytest.fixture
def status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "status"
    path.write_text(STATUS)
    monkeypatch.setattr(packages, "missing_packages", lambda names: missing_packages(names, path))
    return path


def detail_of(planned: PlannedCell, reason: Reason = Reason.BUILD_FAILED, image: str = "") -> str:
    with pytest.raises(BuildError) as caught, packages_in_errors(planned, image):
        raise BuildError(reason, "pg_config is not there", "the log")
    assert (caught.value.reason, caught.value.log) == (reason, "the log")
    return caught.value.detail


def test_removed_packages_are_not_installed(status: Path) -> None:
    assert missing_packages(["gcc", "libpq-dev", "libpq"], status) == ("libpq-dev", "libpq")
    assert missing_packages(["gcc"], status.with_name("none")) is None


def test_a_build_that_fails_names_what_is_not_here_and_how_to_get_it(status: Path) -> None:
    library = find_integration("psycopg")
    assert library is not None
    lacking = [name for name in library.packages if name != "gcc"]
    assert "libpq-dev" in lacking
    assert detail_of(PSYCOPG) == (
        "pg_config is not there (its build needs packages that are missing:"
        f" {apt_command(lacking)})"
    )
    assert missing_build_packages(PSYCOPG) == tuple(lacking)


def test_nothing_is_said_where_all_is_here_or_something_else_failed(status: Path) -> None:
    assert detail_of(DJANGO) == "pg_config is not there"
    assert detail_of(PSYCOPG, Reason.INDEX_UNAVAILABLE) == "pg_config is not there"
    library = find_integration("psycopg")
    assert library is not None
    status.write_text(
        "".join(f"Package: {name}\nStatus: install ok installed\n\n" for name in library.packages)
    )
    assert detail_of(PSYCOPG) == "pg_config is not there"
    assert missing_build_packages(PSYCOPG) == ()


def test_of_an_image_all_packages_are_named(status: Path) -> None:
    assert "python:3.9-slim may lack packages that its build needs: apt-get install" in detail_of(
        PSYCOPG, image="python:3.9-slim"
    )
