"""Environments of real interpreters and the real index, across eras: they import their pins."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path

import pytest

from matrix.environments.errors import BuildError
from matrix.environments.requirements import requirements_for
from matrix.environments.store import EnvironmentStore
from matrix.interpreters.discovery import find_interpreters
from matrix.model.cell import Cell
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.system.paths import cache_dir

pytestmark = pytest.mark.cells

IMPORT = "import ddtrace, {0}, requests, inflection, sys; print(sys.version.split()[0])"


@pytest.fixture(scope="module")
def store() -> EnvironmentStore:
    return EnvironmentStore(cache_dir())


def planned(python: str, framework: str, version: str, ddtrace: str, day: str) -> PlannedCell:
    cell = Cell(python, "linux_x86_64", framework, version, ddtrace)
    return PlannedCell(cell, dt.date.fromisoformat(day), ())


@pytest.mark.parametrize(
    "cell",
    [
        planned("2.7", "flask", "0.10", "1.9.0", "2023-02-27"),
        planned("2.7", "django", "1.8", "1.9.0", "2023-02-27"),
        planned("3.6", "django", "3.2", "1.9.0", "2023-02-27"),
        planned("3.8", "flask", "1.1", "1.0.0", "2022-04-12"),
        planned("3.11", "flask", "2.2.3", "1.9.0", "2023-02-27"),
        planned("3.13", "flask", "3.1.2", "2.21.12", "2025-10-24"),
    ],
    ids=lambda cell: cell.cell.id,
)
def test_an_environment_of_the_time_imports_what_it_is_for(
    store: EnvironmentStore, cell: PlannedCell, tmp_path: Path
) -> None:
    interpreters = [item for item in find_interpreters() if item.python == cell.cell.python]
    if not interpreters:
        pytest.skip(f"no CPython {cell.cell.python} here")
    environment = store.ensure(interpreters[0], requirements_for(cell))
    assert store.peek(interpreters[0], requirements_for(cell)) == environment
    result = subprocess.run(
        [environment.python, "-c", IMPORT.format(cell.cell.framework)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"DD_TRACE_ENABLED": "false", "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false"},
    )
    assert result.stdout.strip() == interpreters[0].version


def test_a_release_without_a_wheel_for_this_python_is_told(store: EnvironmentStore) -> None:
    interpreters = [item for item in find_interpreters() if item.python == "3.11"]
    if not interpreters:
        pytest.skip("no CPython 3.11 here")
    with pytest.raises(BuildError) as caught:
        store.ensure(
            interpreters[0],
            requirements_for(planned("3.11", "flask", "2.1.1", "1.0.0", "2022-04-12")),
        )
    assert caught.value.reason in {Reason.NO_WHEEL, Reason.REQUIRES_PYTHON}
