"""What changed between runs: where each answer went, the worst first, by id or by promise."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from helpers.record_fixture import CONFIRMED, CRASHED, REFUTED, RUN_FACTS, record_of
from helpers.run_fakes import claim

from matrix.__main__ import main
from matrix.errors import ExitCode
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome, Tightness
from matrix.reporting.diff import Direction, compare_records
from matrix.reporting.json import verdict_to_json
from matrix.runs.record import Record


@pytest.mark.parametrize(
    ("was", "now", "direction"),
    [
        (CONFIRMED, REFUTED, Direction.WORSE),
        (CRASHED, REFUTED, Direction.WORSE),
        (CONFIRMED, CRASHED, Direction.LOST),
        (REFUTED, CONFIRMED, Direction.BETTER),
        (CRASHED, CONFIRMED, Direction.BETTER),
        (REFUTED, CRASHED, Direction.OTHER),
        (CRASHED, (Outcome.UNVERIFIED, Reason.TIMED_OUT), Direction.OTHER),
    ],
)
def test_where_an_answer_went(
    was: tuple[Outcome, Reason | None], now: tuple[Outcome, Reason | None], direction: Direction
) -> None:
    found = compare_records(record_of((claim(), was)), record_of((claim(), now)))
    assert [each.direction for each in found.changes] == [direction]


def test_what_is_the_same_is_counted_only() -> None:
    found = compare_records(record_of((claim(), CONFIRMED)), record_of((claim(), CONFIRMED)))
    assert (found.changes, found.same) == ((), 1)


def test_a_minimum_that_is_not_the_least_any_more_is_a_change() -> None:
    old, new = record_of((claim(), CONFIRMED)), record_of((claim(), CONFIRMED))
    exact = dataclasses.replace(new.verdicts[0], tightness=Tightness.EXACT)
    found = compare_records(old, dataclasses.replace(new, verdicts=(exact,)))
    assert [each.direction for each in found.changes] == [Direction.OTHER]


def test_promises_come_and_go_and_the_worst_stands_first() -> None:
    one, two, three = claim(1), claim(2), claim(3)
    found = compare_records(
        record_of((one, CONFIRMED), (two, CONFIRMED)), record_of((two, REFUTED), (three, CONFIRMED))
    )
    assert [each.direction for each in found.changes] == [
        Direction.WORSE,
        Direction.NEW,
        Direction.GONE,
    ]
    assert found.same == 0


def test_a_new_promise_that_is_refuted_is_bad_news() -> None:
    found = compare_records(
        record_of((claim(1), CONFIRMED)), record_of((claim(1), CONFIRMED), (claim(2), REFUTED))
    )
    assert [each.direction for each in found.changes] == [Direction.WORSE]


def test_documents_that_are_not_shared_are_compared_by_their_promises() -> None:
    mine, other = claim(document="a.md"), claim(document="b.md")
    found = compare_records(record_of((mine, CONFIRMED)), record_of((other, REFUTED)))
    assert found.by_promise
    assert [each.direction for each in found.changes] == [Direction.WORSE]


def write(path: Path, made: Record) -> str:
    data = {
        "schema": "verdicts/1",
        "run": {**dataclasses.asdict(RUN_FACTS), "outcomes": {}, "cells": {}, "left_out": {}},
        "claims": [one.to_json() for one in made.claims],
        "verdicts": [verdict_to_json(one) for one in made.verdicts],
        "cells": [],
        "left_out": [],
    }
    path.write_text(json.dumps(data), encoding="utf-8")
    return str(path)


def test_the_command_tells_changes_and_its_code_says_whether_any_is_bad(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write(tmp_path / "good.json", record_of((claim(), CONFIRMED)))
    bad = write(tmp_path / "bad.json", record_of((claim(), REFUTED)))
    assert main(["diff", good, bad, "--json", "-"]) == ExitCode.REFUTED
    out, err = capsys.readouterr()
    assert "confirmed -> refuted" in err
    assert [each["direction"] for each in json.loads(out)["changes"]] == ["worse"]
    assert main(["diff", bad, good]) == ExitCode.OK
    assert main(["diff", good, good]) == ExitCode.OK
    assert "1 claim unchanged" in capsys.readouterr().out


def test_two_documents_of_one_run_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = record_of((claim(document="english.md"), CONFIRMED), (claim(document="e.md"), REFUTED))
    path = write(tmp_path / "run.json", both)
    assert main(["diff", f"{path}#english", f"{path}#e.md"]) == ExitCode.REFUTED
    assert "compared by what they say" in capsys.readouterr().out
    assert main(["diff", f"{path}#e", f"{path}#e.md"]) == ExitCode.USAGE
    assert "2 documents" in capsys.readouterr().err
