"""How long cells take: measured from what was recorded, the same in whatever order it is read."""

from __future__ import annotations

import datetime as dt
import json
import random
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_records import recorded

from matrix.distributed.durations import (
    CellDuration,
    Durations,
    cells_that_ran,
    durations_toml,
    fitted,
    load_durations,
)
from matrix.errors import UnreadableInputError
from matrix.model.cell import Cell
from matrix.model.plan import PlannedCell
from matrix.runs.journal import Entry, Journal
from matrix.system.paths import data_dir

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DJANGO = Cell("3.9", "linux_x86_64", "django", "3.2", "1.9.0")
DAY = dt.date(2025, 1, 1)


def took(  # noqa: PLR0917 - what a cell is
    number: int,
    seconds: float,
    framework: str = "django",
    probes: int = 1,
    soak: bool | None = False,
    target: str = "linux_x86_64",
) -> CellDuration:
    cell = f"cp39-{target}-{framework}3.{number}-ddtrace1.9.0"
    return CellDuration(cell, target, framework, "2026-11-20T12:00:00+00:00", probes, soak, seconds)


def entry(cell: str, seconds: float, *, soak: bool = False) -> Entry:
    return Entry(
        key=f"{cell} {seconds}",
        base="",
        probes={"web": "1", "iast": "2"},
        decisive=("web",),
        soak=soak,
        cell=cell,
        reason=None,
        detail="",
        started="2026-11-20T12:00:00+00:00",
        seconds=seconds,
        transient=False,
        judge="",
        findings=(),
    )


def test_a_probe_more_a_soak_and_repeats_take_longer() -> None:
    durations = Durations(9.0, 2.0, 4.0, {"django": 10.0})
    plain = PlannedCell(DJANGO, DAY, ("web",), ("web",))
    more = PlannedCell(DJANGO, DAY, ("web", "iast"), ("web",), soak=True, repeats=3)
    other = PlannedCell(Cell("3.9", "win32", "nobodys", "1.0", "1.9.0"), DAY, ("web",))
    assert (durations.of(plain), durations.of(more), durations.of(other)) == (10.0, 20.0, 9.0)


def test_what_made_the_times_is_found_again() -> None:
    ran = [
        took(
            1000 * number + 10 * probes + soak, base + 2.0 * probes + 5.0 * soak, name, probes, soak
        )
        for name, base in (("django", 8.0), ("flask", 4.0))
        for number in range(50)
        for probes in (1, 2, 4)
        for soak in (False, True)
    ]
    durations, used = fitted(ran)
    assert len(used) == len(ran)
    assert (durations.probe, durations.soak) == (2.0, 5.0)
    assert durations.frameworks == {
        "django": pytest.approx(10.0, abs=0.1),
        "flask": pytest.approx(6.0, abs=0.1),
    }
    assert durations.cell == 8.0


@given(
    st.lists(
        st.builds(
            took,
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
def test_the_order_and_being_told_twice_change_nothing(ran: list[CellDuration], seed: int) -> None:
    once = fitted(ran)
    mixed = [*ran, *ran]
    random.Random(seed).shuffle(mixed)  # noqa: S311 - an order, no secret
    assert fitted(mixed) == once
    durations, used = once
    assert len({each.target for each in used}) == 1
    text = durations_toml(durations, used)
    read = tomllib.loads(text)
    assert Durations(read["cell"], read["probe"], read["soak"], read["frameworks"]) == durations
    assert min(durations.probe, durations.soak) >= 0


def test_few_cells_of_a_library_lean_on_all() -> None:
    many = [took(number, 10.0) for number in range(100)]
    durations, _ = fitted([*many, took(1, 100.0, "slow")])
    assert 30 < durations.frameworks["slow"] < 60


def test_journals_and_records_tell_how_long_their_cells_took(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(entry(DJANGO.id, 12.5, soak=True))
    journal.append(entry("cp39-linux_x86_64-flask2.0-ddtrace1.9.0", 0.0))
    journal.close()
    (found,) = cells_that_ran(journal.path, print)
    assert (found.cell, found.probes, found.soak, found.seconds) == (DJANGO.id, 2, True, 12.5)
    data = recorded()
    for number, line in enumerate(data["cells"]):
        line.update(seconds=float(number), started="2026-11-20T12:00:00+00:00")
    path = tmp_path / "run.json"
    path.write_text(json.dumps(data, indent=2), encoding="utf-8")
    ran = cells_that_ran(path, print)
    assert [each.seconds for each in ran] == [float(n) for n in range(1, len(data["cells"]))]
    assert {each.soak for each in ran} == {None}


def test_a_journal_with_a_broken_line_is_read_and_that_is_said(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(entry(DJANGO.id, 12.5))
    journal.append(entry("no cell", 3.0))
    journal.close()
    with journal.path.open("a", encoding="utf-8") as file:
        file.write("nonsense\n")
    said: list[str] = []
    assert len(cells_that_ran(journal.path, said.append)) == 1
    assert len(said) == 2
    assert all(str(journal.path) in each for each in said)


@pytest.mark.parametrize("content", [b"", b"\xff", b"{}", b'{"key": 1}\n', b"[]\n", b"[" * 99_999])
def test_a_file_that_is_something_else_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "strange"
    path.write_bytes(content)
    with pytest.raises(UnreadableInputError, match="strange"):
        cells_that_ran(path, lambda _: None)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match="there is no file"):
        cells_that_ran(tmp_path / "nothing", print)


def test_what_is_committed_was_written_by_the_program() -> None:
    durations = load_durations()
    text = (data_dir() / "durations.toml").read_text(encoding="utf-8")
    first = took(0, 1.0)
    body = durations_toml(durations, [first]).split("\n", 2)
    assert text.split("\n", 2)[0] == body[0]
    assert text.split("\n", 2)[2] == body[2]
    assert {"django", "flask"} <= durations.frameworks.keys()
