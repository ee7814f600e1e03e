"""Recorded runs: kept whole, found by name, refused by name where they are something else."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.record_fixture import HOUR, NOON, mixed_record, record_json, record_store
from helpers.run_fakes import MINIMUM, capture

from matrix.errors import StorageError, UnreadableInputError
from matrix.judging.sentences import evidence_text
from matrix.model.capture import CellLocation
from matrix.model.fact import facts_to_json, text_facts
from matrix.model.verdict import Outcome
from matrix.reporting.diff import compare_records, diff_to_json
from matrix.reporting.json import json_text, record_to_json
from matrix.reporting.junit import junit_xml
from matrix.reporting.markdown import render_markdown
from matrix.runs.record_store import RecordStore, parse_record, read_record


def test_a_run_is_read_back_as_it_was(tmp_path: Path) -> None:
    made = mixed_record()
    path = record_store(tmp_path).write(
        json_text(record_to_json(made.dated("today"))), made.run.started
    )
    record = read_record(path, path.stem)
    assert record.claims == tuple(made.claims)
    assert record.verdicts == made.verdicts
    assert [cell.findings for cell in record.cells] == [cell.findings for cell in made.cells]
    assert [cell.where for cell in record.cells] == [cell.where for cell in made.cells]
    assert record.run.as_of == "today"
    for outcome in Outcome:
        assert record.count(outcome) == made.count(outcome)


def test_where_a_cell_ran_tells_which_artifact_of_the_tracer_it_had() -> None:
    where = CellLocation.of(capture(MINIMUM))
    assert where is not None
    assert where.tracer == ("0" * 64,)
    assert CellLocation.from_json(json.loads(json.dumps(where.to_json()))) == where


def test_runs_are_found_by_name_its_beginning_and_file(tmp_path: Path) -> None:
    made = record_store(tmp_path, 3)
    names = made.names()
    assert names == sorted(names)
    assert made.latest().name == made.find("latest").name == names[-1]
    assert made.find(names[1][:12]).name == names[1]
    assert made.find(str(made.folder / f"{names[0]}.json")).name == names[0]
    before = made.previous(made.latest())
    assert before is not None
    assert before.name == names[1]
    assert made.previous(made.find(names[0])) is None


def test_a_run_about_other_claims_is_not_the_one_before(tmp_path: Path) -> None:
    made = record_store(tmp_path, 1)
    other = {**record_json(), "claims": [], "verdicts": []}
    made.write(json_text(other), (NOON + HOUR).isoformat())
    made.write(json_text(record_json()), (NOON + 2 * HOUR).isoformat())
    before = made.previous(made.latest())
    assert before is not None
    assert before.name == made.names()[0]


@pytest.mark.parametrize("word", ["2026", "nothing-like-it", "20261120T140000X"])
def test_what_names_no_run_or_many_is_told_with_those_there_are(tmp_path: Path, word: str) -> None:
    made = record_store(tmp_path, 2)
    with pytest.raises(UnreadableInputError) as caught:
        made.find(word)
    assert made.names()[-1] in f"{caught.value} {caught.value.hint}"


def test_where_no_run_is_recorded_the_command_that_makes_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError) as caught:
        record_store(tmp_path).latest()
    assert "verify" in caught.value.hint


def test_a_record_without_the_digest_of_its_name_is_refused_by_name(tmp_path: Path) -> None:
    made = record_store(tmp_path, 3)
    oldest, middle, newest = (made.folder / f"{name}.json" for name in made.names())
    middle.write_bytes(middle.read_bytes().replace(b"confirmed", b"refuted", 1))
    with pytest.raises(UnreadableInputError, match=middle.name):
        made.find(middle.stem)
    with pytest.raises(UnreadableInputError, match=middle.name):
        read_record(middle.rename(tmp_path / middle.name))
    (tmp_path / middle.name).rename(middle)
    before = made.previous(made.find(newest.stem))
    assert before is not None
    assert before.name == oldest.stem, "the damaged one is passed over"
    assert middle.name in made.notices[0]


def _another_outcome(data: dict[str, Any]) -> None:
    data["verdicts"][0]["outcome"] = "green"


def _a_verdict_less(data: dict[str, Any]) -> None:
    del data["verdicts"][0]


def _a_claim_twice(data: dict[str, Any]) -> None:
    data["claims"].append(data["claims"][0])


def _a_cell_twice(data: dict[str, Any]) -> None:
    data["cells"].append(data["cells"][0])


def _no_run(data: dict[str, Any]) -> None:
    del data["run"]


def _another_schema(data: dict[str, Any]) -> None:
    data["schema"] = "plan/1"


@pytest.mark.parametrize(
    "spoil",
    [_another_outcome, _a_verdict_less, _a_claim_twice, _a_cell_twice, _no_run, _another_schema],
)
def test_a_file_that_is_no_whole_record_is_refused_by_name(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], None]
) -> None:
    data = record_json()
    spoil(data)
    path = tmp_path / "spoilt.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(UnreadableInputError, match=r"spoilt\.json"):
        read_record(path)


def test_a_record_that_cannot_be_written_is_told_and_leaves_no_half_one(tmp_path: Path) -> None:
    (tmp_path / "records").write_text("in the way", encoding="utf-8")
    with pytest.raises(StorageError):
        record_store(tmp_path).write("{}", NOON.isoformat())


def test_old_runs_make_room(tmp_path: Path) -> None:
    made = RecordStore(tmp_path)
    for second in range(55):
        made.write("{}", (NOON + dt.timedelta(seconds=second)).isoformat())
    assert len(made.names()) == 50
    assert made.names()[-1].startswith("20261120T120054Z")


# What no file of verdicts holds, and what would end in a traceback where it is told.
_ODD: tuple[object, ...] = (
    *(None, True, -1, 1.5, "x", "\ud800", [], {}, ["x"], {"x": 1}, [[1]], {"a": {"b": []}}),
    *(float("nan"), float("inf"), 10**400),
)
_PLACES = (
    *(("run", name) for name in ("profile", "as_of", "started", "seconds", "lost", "targets")),
    *(("claims", 0, name) for name in ("subject", "specifier", "document", "line", "scope")),
    *(("verdicts", 0, name) for name in ("evidence", "parts", "cells", "outcome", "reason")),
    *(("verdicts", 0, "parts", 0, name) for name in ("evidence", "cells", "probe", "outcome")),
    *(("cells", 0, name) for name in ("id", "seconds", "started", "findings", "where")),
    *(("cells", 0, "where", name) for name in ("image", "libc", "python", "tracer", "bits")),
    *(("cells", 0, "findings", 0, name) for name in ("repeats", "shows", "evidence", "notes")),
    ("cells", 0, "findings", 0, "repeats", "present"),
)


def _full() -> dict[str, Any]:
    """A run whose first verdict has parts, and whose first cell tells of all."""
    data = record_json()
    where = CellLocation.of(capture(MINIMUM))
    assert where is not None
    data["verdicts"].sort(key=lambda one: not one["parts"])
    data["cells"].sort(key=lambda one: not one["findings"])
    data["cells"][0]["where"] = where.to_json()
    return data


@pytest.mark.parametrize("place", _PLACES, ids=lambda place: ".".join(map(str, place)))
def test_whatever_stands_in_a_record_it_is_told_or_refused(place: tuple[Any, ...]) -> None:
    whole = parse_record(json.dumps(_full()).encode(), "whole")
    for odd in _ODD:
        data = _full()
        inner: Any = data
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = odd
        try:
            made = parse_record(json.dumps(data).encode(), "odd.json")
        except UnreadableInputError:
            continue
        junit_xml(made).encode()
        changed = compare_records(whole, made)
        render_markdown(made, changed).encode()
        json_text(diff_to_json(changed, whole, made)).encode()
        for cell in made.cells:
            if cell.where is not None:
                # Looked up by, and compared with, what is text.
                assert hash((cell.where, cell.where.image.removeprefix("sha256:")))
            assert all(count >= 0 for each in cell.findings for _, count in each.repeats)


def test_a_finding_that_stands_twice_is_refused() -> None:
    data = record_json()
    findings = next(cell["findings"] for cell in data["cells"] if cell["findings"])
    findings.append({**findings[0], "shows": "absent"})
    with pytest.raises(UnreadableInputError, match="is listed twice"):
        parse_record(json.dumps(data).encode(), "twice.json")


def test_a_name_that_no_file_can_have_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match="no recorded run"):
        record_store(tmp_path, 1).find("a" * 300)


def test_half_a_character_that_a_release_said_does_not_keep_a_run_from_being_recorded(
    tmp_path: Path,
) -> None:
    data = record_json()
    data["verdicts"][0]["facts"] = facts_to_json(text_facts("it said \ud800."))
    path = record_store(tmp_path).write(json_text(data), NOON.isoformat())
    assert evidence_text(read_record(path).verdicts[0].facts) == "it said ?."
