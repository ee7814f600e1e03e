"""Durations of cells: fitted from recorded runs, whatever the order of the records."""

from __future__ import annotations

import datetime as dt
import json
import random
from pathlib import Path

import pytest
from helpers.shard_plan_fixture import journal_entry
from helpers.shard_run_fixture import results, run_whole, some_plan
from hypothesis import given
from hypothesis import strategies as st

from matrix.distributed.durations import (
    CellDuration,
    Durations,
    fit_durations,
    format_durations,
    load_durations,
    read_cell_durations,
)
from matrix.errors import UnreadableInputError
from matrix.model.cell import Cell
from matrix.model.plan import PlannedCell
from matrix.reporting.json import record_to_json
from matrix.runs.journal import Journal
from matrix.system.data_files import parse_toml
from matrix.system.paths import data_dir

__all__ = ["results"]

DJANGO = Cell("3.9", "linux_x86_64", "django", "3.2", "1.9.0")
DAY = dt.date(2025, 1, 1)


def duration(  # noqa: PLR0917 - the fields of a cell's duration
    number: int,
    seconds: float,
    framework: str = "django",
    probes: int = 1,
    soak: bool | None = False,
    target: str = "linux_x86_64",
) -> CellDuration:
    cell = f"cp39-{target}-{framework}3.{number}-ddtrace1.9.0"
    return CellDuration(Cell.parse(cell), "2026-11-20T12:00:00+00:00", probes, soak, seconds)


def test_more_probes_a_soak_and_repeats_take_longer() -> None:
    durations = Durations(9.0, 2.0, 4.0, {"django": 10.0})
    plain = PlannedCell(DJANGO, DAY, ("web",), ("web",))
    more = PlannedCell(DJANGO, DAY, ("web", "iast"), ("web",), soak=True, repeats=3)
    other = PlannedCell(Cell("3.9", "win32", "unmeasured", "1.0", "1.9.0"), DAY, ("web",))
    assert (durations.estimate(plain), durations.estimate(more), durations.estimate(other)) == (
        10.0,
        20.0,
        9.0,
    )


def test_the_fit_recovers_the_parameters() -> None:
    measured = [
        duration(
            1000 * number + 10 * probes + soak, base + 2.0 * probes + 5.0 * soak, name, probes, soak
        )
        for name, base in (("django", 8.0), ("flask", 4.0))
        for number in range(50)
        for probes in (1, 2, 4)
        for soak in (False, True)
    ]
    durations, used = fit_durations(measured)
    assert len(used) == len(measured)
    assert (durations.probe, durations.soak) == (2.0, 5.0)
    assert durations.frameworks == {
        "django": pytest.approx(10.0, abs=0.1),
        "flask": pytest.approx(6.0, abs=0.1),
    }
    assert durations.cell == 8.0


@given(
    st.lists(
        st.builds(
            duration,
            st.integers(0, 9),
            st.floats(0.1, 100),
            probes=st.integers(1, 5),
            soak=st.none() | st.booleans(),
            framework=st.sampled_from(["django", "flask"]),
            target=st.sampled_from(["linux_x86_64", "win32"]),
        ),
        min_size=1,
        max_size=30,
    ),
    st.integers(0, 99),
)
def test_order_and_repetition_change_nothing(measured: list[CellDuration], seed: int) -> None:
    once = fit_durations(measured)
    mixed = [*measured, *measured]
    random.Random(seed).shuffle(mixed)  # noqa: S311 - an order, no secret
    assert fit_durations(mixed) == once
    durations, used = once
    assert len({item.cell.target for item in used}) == 1
    text = format_durations(durations, used)
    data = parse_toml(text)
    assert Durations(data["cell"], data["probe"], data["soak"], data["frameworks"]) == durations
    assert min(durations.probe, durations.soak) >= 0


def test_few_cells_of_a_library_lean_on_all() -> None:
    many = [duration(number, 10.0) for number in range(100)]
    durations, _ = fit_durations([*many, duration(1, 100.0, "slow")])
    assert 30 < durations.frameworks["slow"] < 60


def test_journals_and_records_have_durations(tmp_path: Path, results: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(journal_entry(DJANGO.id, 12.5, soak=True))
    journal.append(journal_entry("cp39-linux_x86_64-flask2.0-ddtrace1.9.0", 0.0))
    journal.close()
    (item,) = read_cell_durations(journal.path, print)
    assert (item.cell, item.probes, item.soak, item.seconds) == (DJANGO, 2, True, 12.5)
    data = record_to_json(run_whole(some_plan(), {}, results))
    for number, line in enumerate(data["cells"]):
        line.update(seconds=float(number), started="2026-11-20T12:00:00+00:00")
    path = tmp_path / "run.json"
    path.write_text(json.dumps(data, indent=2), encoding="utf-8")
    items = read_cell_durations(path, print)
    assert [item.seconds for item in items] == [float(n) for n in range(1, len(data["cells"]))]
    assert {item.soak for item in items} == {None}


def test_a_journal_with_a_broken_line_is_read_with_a_remark(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(journal_entry(DJANGO.id, 12.5))
    journal.append(journal_entry("no cell", 3.0))
    journal.close()
    with journal.path.open("a", encoding="utf-8") as file:
        file.write("nonsense\n")
    messages: list[str] = []
    assert len(read_cell_durations(journal.path, messages.append)) == 1
    assert len(messages) == 2
    assert all(str(journal.path) in message for message in messages)


@pytest.mark.parametrize("content", [b"", b"\xff", b"{}", b'{"key": 1}\n', b"[]\n", b"[" * 99_999])
def test_a_file_that_is_something_else_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "strange"
    path.write_bytes(content)
    with pytest.raises(UnreadableInputError, match="strange"):
        read_cell_durations(path, lambda _: None)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match="there is no file"):
        read_cell_durations(tmp_path / "nothing", print)


def test_the_committed_durations_were_written_by_the_program() -> None:
    durations = load_durations()
    text = (data_dir() / "durations.toml").read_text(encoding="utf-8")
    first = duration(0, 1.0)
    body = format_durations(durations, [first]).split("\n", 2)
    assert text.split("\n", 2)[0] == body[0]
    assert text.split("\n", 2)[2] == body[2]
    assert {"django", "flask"} <= durations.frameworks.keys()
