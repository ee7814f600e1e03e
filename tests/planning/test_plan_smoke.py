"""The list of smoke cells, and the nox sessions that are made from it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.planning_fixture import left_out_of, page, parts_of, planned

from matrix.__main__ import main
from matrix.cli import plan as plan_command
from matrix.errors import ExitCode
from matrix.model.cell import Cell
from matrix.model.reason import Reason
from matrix.planning import planner
from matrix.planning.profiles import format_smoke_list, smoke_path
from matrix.planning.select import Selection, select
from matrix.system.files import parse_toml, read_toml
from matrix.system.paths import project_root


def committed() -> list[str]:
    cells: list[str] = read_toml(smoke_path())["cells"]
    return cells


def test_the_list_holds_every_cell_once_as_versions_sort() -> None:
    plan = planned(page(), "smoke")
    data = parse_toml(format_smoke_list(plan))
    cells = [Cell.parse(each) for each in data["cells"]]
    assert cells == sorted(cells, key=lambda cell: cell.sort_key)
    assert {cell.id for cell in cells} == {each.cell.id for each in plan.cells}
    assert len(cells) == len(set(cells))
    assert data["snapshot"] == plan.snapshot.date()


def test_the_committed_ids_are_cells_in_order() -> None:
    cells = [Cell.parse(each) for each in committed()]
    assert cells
    assert cells == sorted(cells, key=lambda cell: cell.sort_key)
    assert [cell.id for cell in cells] == committed()


def test_nox_lists_a_session_for_each_cell_with_its_tags() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nox", "--nocolor", "-l", "-t", "smoke"],
        cwd=project_root(),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    selected = re.findall(r"^\* (\S+) \[(\S+)\]", done.stdout, re.MULTILINE)
    assert [name for name, _ in selected] == [f"cell({each})" for each in committed()]
    for each, (_, tags) in zip(committed(), selected, strict=True):
        assert {"smoke", Cell.parse(each).target} <= set(tags.split(","))


def test_a_session_selects_claims_that_its_cell_is_part_of() -> None:
    plan = planned(page(), "smoke")
    for each in plan.cells:
        chosen = select(plan, Selection(cells=(each.cell.id,)))
        assert each.cell.id in {found.cell.id for found in chosen.cells}
        for part in chosen.parts:
            assert each.cell in {*part.required, *part.beyond}


def test_cells_that_decide_nothing_come_only_where_they_are_asked_for() -> None:
    plan = planned(page(), "smoke")
    beyond = {cell for part in plan.parts for cell in part.beyond}
    assert beyond
    part = next(part for part in plan.parts if part.beyond)
    chosen = select(plan, Selection(cells=(part.minimum.id,)))
    assert not beyond & {found.cell for found in chosen.cells}
    chosen = select(plan, Selection(cells=(part.beyond[0].id,)))
    assert part.beyond[0] in {found.cell for found in chosen.cells}
    chosen = select(plan, Selection(tracers=(part.minimum.ddtrace,)))
    assert not beyond & {found.cell for found in chosen.cells}
    chosen = select(plan, Selection(claims=(part.claim,)))
    assert part.beyond[0] in {found.cell for found in chosen.cells}


def test_a_session_whose_claim_needs_other_cells_too_does_not_stand_for_the_claim() -> None:
    plan = planned(page(), "smoke")
    oldest, *others = parts_of(plan, "note/request-tags")
    chosen = select(plan, Selection(cells=(oldest.minimum.id,)))
    assert oldest in parts_of(chosen, "note/request-tags")
    omissions = left_out_of(chosen, "note/request-tags")
    left_out = {item.subject for item in omissions if item.reason is Reason.NOT_SELECTED}
    assert left_out
    assert left_out <= {part.minimum.id for part in others}
    whole = select(plan, Selection(claims=("*/note/request-tags",)))
    assert Reason.NOT_SELECTED not in {item.reason for item in whole.omissions}


@pytest.mark.parametrize(
    "options",
    [["page.md"], ["--profile", "exhaustive"], ["--as-of", "2024-01-01"], ["--python", "3.9"]],
)
def test_the_list_is_of_the_whole_smoke_profile_only(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = smoke_path().read_bytes()
    assert main(["plan", "--write-smoke", "--offline", *options]) == ExitCode.USAGE
    assert "--write-smoke" in capsys.readouterr().err
    assert smoke_path().read_bytes() == before


@pytest.mark.index
def test_the_committed_list_is_what_the_plan_gives_today(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = tmp_path / "smoke.toml"
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(tmp_path))
    monkeypatch.setattr(planner, "host_target", lambda: "linux_x86_64")
    monkeypatch.setattr(plan_command, "smoke_path", lambda: written)
    assert main(["plan", "--write-smoke"]) == ExitCode.OK
    assert read_toml(written)["cells"] == committed()
