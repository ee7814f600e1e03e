"""A cell of a run of other documents is repeated as its newest result has it."""

from __future__ import annotations

import dataclasses
import datetime as dt

from helpers.planning_fixture import world
from helpers.shard_plan_fixture import journal_entry

from matrix.features.reproduce.earlier import earlier_cell
from matrix.model.cell import Cell

CELL = "cp39-linux_x86_64-flask2.2.3-ddtrace1.9.0"


def test_a_cell_without_a_result_is_not_known() -> None:
    assert earlier_cell(Cell.parse(CELL), [], world()) is None


def test_the_newest_result_of_a_cell_says_what_to_run() -> None:
    old = journal_entry(CELL, 1.0)
    new = dataclasses.replace(old, started="2026-11-21T12:00:00+00:00", probes={"web": "1"})
    found = earlier_cell(Cell.parse(CELL), [new, old, journal_entry(f"{CELL}0", 1.0)], world())
    assert found is not None
    assert (found.probes, found.decisive) == (("web",), ("web",))
    # The day after the younger of the two releases.
    assert found.as_of > dt.date(2023, 2, 15)


def test_a_dated_cell_needs_no_index() -> None:
    dated = f"{CELL}-asof20230401"
    index = world()
    found = earlier_cell(Cell.parse(dated), [journal_entry(dated, 1.0)], index)
    assert found is not None
    assert found.as_of == dt.date(2023, 4, 1)
    assert index.requested == []
