"""Sample apps: their declarations, and what a cell with one has beside its pins."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from matrix.cells.job import app_of
from matrix.environments.requirements import requirements_for
from matrix.errors import UsageError
from matrix.model.cell import Cell
from matrix.model.plan import PlannedCell
from matrix.planning.coverage import load_coverage
from matrix.probes.registry import load_probes
from matrix.probes.shops import Shop, load_shops
from matrix.system.paths import apps_dir

DECLARATIONS = 'SERVER = "wsgi"\nTRIED = [["3.8", "1.0", "2023-06-01"]]\n'


def write_shop(folder: Path, text: str) -> None:
    (folder / "paper_shop").mkdir()
    (folder / "paper_shop" / "shop.py").write_text(text)


def test_a_folder_is_all_that_a_new_app_takes(tmp_path: Path) -> None:
    write_shop(tmp_path, DECLARATIONS + 'ALSO = ["ink>=2"]\nroutes = open\n')
    (shop,) = load_shops(tmp_path).values()
    assert shop == Shop("paper", "wsgi", shop.tried, also=("ink>=2",))
    assert [item.as_of for item in shop.tried] == [dt.date(2023, 6, 1)]


def test_a_cell_of_a_framework_runs_its_app() -> None:
    assert app_of("tornado", apps_dir()) == "tornado"
    assert app_of("tornado", apps_dir(), library=True) == "library:tornado"
    assert app_of("glass", apps_dir()) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (DECLARATIONS.replace("wsgi", "cgi"), "SERVER is 'cgi'"),
        (DECLARATIONS.replace("TRIED", "TIRED"), "TRIED is no list of releases"),
        (DECLARATIONS.replace("2023-06-01", "June"), "June"),
        (DECLARATIONS.replace('"1.0", ', ""), "shop.py: .*argument"),
        (DECLARATIONS + "ALSO = 'ink'\n", "ALSO is no list of requirements"),
        (DECLARATIONS + "ALSO = ['ink and paper']\n", "ink and paper"),
        (DECLARATIONS + "ROW = 'papyrus'\n", "ROW is 'papyrus', which is no integration row"),
        (DECLARATIONS + "def\n", "invalid syntax"),
    ],
)
def test_an_invalid_declaration_is_named(text: str, problem: str, tmp_path: Path) -> None:
    write_shop(tmp_path, text)
    with pytest.raises(UsageError, match=problem):
        load_shops(tmp_path)


def test_every_app_is_a_framework_that_a_page_can_promise() -> None:
    coverage = load_coverage()
    assert set(coverage.samples) <= set(coverage.apps) == set(load_shops())
    for name, probe in load_probes().items():
        if not name.startswith("integration-"):
            assert any(map(probe.runs_in, coverage.apps)), name


def test_the_releases_of_a_framework_are_those_of_its_row() -> None:
    rows = {name: shop.row.slug for name, shop in load_shops().items() if shop.row}
    assert rows["aiohttp"] == "aiohttp-server"
    assert rows["fastapi"] == "fastapi"
    assert "django" not in rows


def requirements(framework: str, version: str, *probes: str) -> tuple[str, ...]:
    cell = Cell("3.11", "linux_x86_64", framework, version, "2.21.12")
    found = requirements_for(PlannedCell(cell, dt.date(2024, 1, 1), probes))
    return (*found.pins, *found.also)


def test_a_cell_with_an_app_has_what_the_app_needs_and_a_row_alone_has_not() -> None:
    row, tracing = "integration-starlette", "web-tracing"
    pins = ("ddtrace==2.21.12", "starlette==0.27.0")
    company = ("inflection", "python-multipart", "requests", "uvicorn")
    assert requirements("starlette", "0.27.0", row) == pins
    assert requirements("starlette", "0.27.0", tracing) == (*pins, *company)
    assert requirements("starlette", "0.27.0", row, tracing) == (*pins, *company)
    assert "cheroot" in requirements("flask", "3.0.0", tracing)
    assert set(requirements("aiohttp", "3.8.4", tracing)) == {
        "aiohttp==3.8.4",
        "ddtrace==2.21.12",
        "inflection",
        "requests",
        "yarl<1.13",
    }
