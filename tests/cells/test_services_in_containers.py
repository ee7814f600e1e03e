"""A real cell with a real back end has the same findings on the machine and in a container.

As with `reproduce --run`, the back ends of the cell are started for it, and ended with it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.container_jobs import real_image

from matrix.docker.connect import connect
from matrix.docker.labels import lock_run
from matrix.features.reproduce.run import SingleRun, run_alone
from matrix.judging.sentences import evidence_text
from matrix.model.cell import Cell
from matrix.model.plan import PlannedCell
from matrix.model.verdict import Finding, Observed
from matrix.runs.backend import open_backend
from matrix.runs.setup import RunOptions
from matrix.services import start as services_start
from matrix.services.supervised import servers_of

pytestmark = [pytest.mark.engine, pytest.mark.cells, pytest.mark.services]

AS_OF = dt.date(2025, 11, 1)
ROWS = [
    ("redis", "4.6.0", "Redis "),
    ("asyncpg", "0.30.0", "PostgreSQL "),
    ("pymysql", "1.1.1", "MariaDB "),
]


@pytest.fixture(scope="module", autouse=True)
def _image(tmp_path_factory: pytest.TempPathFactory) -> None:
    with lock_run(tmp_path_factory.mktemp("runs")) as run, connect(run) as engine:
        real_image(engine, "linux_x86_64", "3.11")


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Return the folders of all services that were started, which must be gone in the end."""
    started: list[Path] = []
    build_spec = services_start._build_spec  # the first function that gets the folder

    def recorded(*arguments: object) -> object:
        started.append(Path(str(arguments[1])))
        return build_spec(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(services_start, "_build_spec", recorded)
    yield started
    assert [folder for folder in started if folder.exists() or servers_of(folder)] == []


def alone(planned: PlannedCell, engine: str) -> SingleRun:
    with open_backend(engine, [planned.cell.target]) as runs:
        return run_alone(planned, runs, RunOptions(jobs=1), print)


def results(findings: tuple[Finding, ...]) -> list[tuple[str, Observed, str]]:
    # The name of the shop is another one in each process.
    return [
        (
            item.channel,
            item.shows,
            re.sub(r"\bs[0-9a-f]{15}\b", "{shop}", evidence_text(item.facts)),
        )
        for item in findings
    ]


@pytest.mark.parametrize(("library", "version", "server"), ROWS, ids=[row[0] for row in ROWS])
def test_a_container_reaches_the_back_ends_that_the_machine_reaches(
    library: str, version: str, server: str, folders: list[Path]
) -> None:
    cell = Cell("3.11", "linux_x86_64", library, version, "2.21.12")
    names = (f"integration-{library}",)
    planned = PlannedCell(cell, AS_OF, names, decisive=names)
    here, inside = alone(planned, "local"), alone(planned, "docker")
    for run in (here, inside):
        assert run.capture.failed is None, run.capture.detail
        assert any(f"  Against {server}" in line for line in run.lines())
    assert results(here.findings) == results(inside.findings)
    assert {finding.shows for finding in here.findings} == {Observed.PRESENT}
    assert inside.capture.engine.startswith("Docker")
    assert len(folders) == 2
