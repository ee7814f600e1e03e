"""What a verdict rests on: the back ends of its cells, named wherever it is told."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import jsonschema
import pytest
from helpers.run_fakes import (
    BEFORE,
    CONTROL,
    MINIMUM,
    PROBES,
    SNAPSHOT,
    capture,
    claim,
    part,
    plan,
    planned,
)
from helpers.toy_services import recipes, toy
from matrix.runs.result import CellRecord, RunResult
from rich.console import Console

from matrix.features.corrections.change import ground_for
from matrix.features.reproduce.by_hand import ManualSteps
from matrix.features.reproduce.run import SingleRun
from matrix.judging.cells import findings_of
from matrix.judging.claims import judge
from matrix.judging.findings import FindingTable
from matrix.model.claim import ClaimKind
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.model.service import Backend, ServiceIdentity, ServiceKind, against
from matrix.model.verdict import Finding, Outcome
from matrix.reporting.json import result_to_json
from matrix.reporting.markdown import markdown
from matrix.reporting.rows import group
from matrix.reporting.services import needed_by, state_lines, users_of
from matrix.reporting.terminal import print_report
from matrix.runs.journal import Entry
from matrix.runs.record_reader import parse_record
from matrix.services.pool import Services
from matrix.system.paths import data_dir

POSTGRES = "postgres: PostgreSQL 15.18"
MOTO = "aws: moto==5.0.28 (a simulator)"
STUB = "consul: stub 0123456789ab (a stub)"


@pytest.mark.parametrize("kind", ServiceKind)
@pytest.mark.parametrize("version", ["PostgreSQL 15.18", "Redis: 7 (beta)", "moto==5.0.28", ""])
def test_what_a_capture_says_is_read_back(kind: ServiceKind, version: str) -> None:
    identity = ServiceIdentity("redis-cluster", kind, version, "program")
    assert Backend.parse(str(identity)) == Backend("redis-cluster", kind, version)


def test_words_say_what_is_not_the_product_itself() -> None:
    assert against([POSTGRES]) == "Against PostgreSQL 15.18."
    assert against([MOTO]) == "Against a simulator (moto 5.0.28)."
    assert against([STUB, POSTGRES, STUB]) == "Against a stub (consul), PostgreSQL 15.18."
    assert against([]) == ""


def seen(cell: str, *services: str, says: str = "blocked") -> tuple[Finding, ...]:
    made = capture(cell, body=says)
    return findings_of(dataclasses.replace(made, services=services), PROBES, PROBES)


def result(before: str = POSTGRES) -> RunResult:
    found = {
        MINIMUM: seen(MINIMUM, POSTGRES),
        BEFORE: seen(BEFORE, before, says="fine"),
        CONTROL: seen(CONTROL, POSTGRES),
    }
    of = plan([claim()], [part(claim())])
    records = tuple(
        CellRecord(cell, tuple(PROBES), None, "", 1.0, False, False, "key", "2026", findings)
        for cell, findings in found.items()
    )
    known = FindingTable(item for findings in found.values() for item in findings)
    return RunResult(of, records, judge(of, known), SNAPSHOT, 1.0)


def test_a_verdict_names_the_back_ends_of_all_cells_that_it_rests_on() -> None:
    (verdict,) = result(STUB).verdicts
    assert verdict.outcome is Outcome.CONFIRMED
    assert verdict.back_ends == verdict.parts[0].back_ends == (POSTGRES, STUB)


def test_a_cell_that_failed_names_them_too() -> None:
    made = dataclasses.replace(capture(MINIMUM), services=(STUB,), failed=Reason.BACK_END_LOST)
    assert {item.back_ends for item in findings_of(made, PROBES, PROBES)} == {(STUB,)}


def test_the_table_says_it_and_never_leaves_it_out() -> None:
    out = io.StringIO()
    of = result(STUB)
    long = tuple(
        dataclasses.replace(
            verdict,
            parts=tuple(
                dataclasses.replace(each, evidence=f"{each.evidence} {'word ' * 200}")
                for each in verdict.parts
            ),
        )
        for verdict in of.verdicts
    )
    print_report(Console(file=out, width=400), dataclasses.replace(of, verdicts=long), "")
    assert "Against PostgreSQL 15.18, a stub (consul)." in out.getvalue()


def test_the_json_says_it_by_its_schema_and_is_read_back() -> None:
    data = result_to_json(result(STUB), "")
    schema = json.loads((data_dir() / "schemas" / "verdicts.schema.json").read_text("utf-8"))
    jsonschema.validate(json.loads(json.dumps(data)), schema)
    assert data["verdicts"][0]["back_ends"] == [POSTGRES, STUB]
    assert data["cells"][1]["back_ends"] == [STUB]
    assert data["cells"][1]["findings"][0]["back_ends"] == [STUB]
    record = parse_record(json.dumps(data).encode(), "it")
    assert record.verdicts == result(STUB).verdicts
    assert record.cells[1].findings == result(STUB).cells[1].findings


def test_the_journal_keeps_it_and_reads_what_is_older() -> None:
    findings = seen(MINIMUM, STUB)
    entry = Entry(
        *("key", "base", {}, (), False, MINIMUM, None, "", "2026", 1.0, False, "judge"), findings
    )
    data = json.loads(json.dumps(entry.to_json()))
    assert Entry.from_json(data).findings == findings
    for item in data["findings"]:
        del item["back_ends"]
    assert Entry.from_json(data).findings[0].back_ends == ()


def test_what_was_seen_against_a_stub_is_no_row_with_what_was_seen_against_the_product() -> None:
    claims = [claim(number, ClaimKind.INTEGRATION) for number in (1, 2, 3)]
    claims = [dataclasses.replace(each, scope=()) for each in claims]
    verdicts = [
        dataclasses.replace(result(other).verdicts[0], claim=each.id)
        for each, other in zip(claims, (POSTGRES, STUB, POSTGRES), strict=True)
    ]
    rows = group(verdicts, {each.id: each for each in claims})
    assert [row.claims for row in rows] == [(claims[0], claims[2]), (claims[1],)]


def test_one_cell_alone_and_a_proposal_say_it() -> None:
    made = dataclasses.replace(capture(MINIMUM), services=(MOTO,))
    assert "  Against a simulator (moto 5.0.28)." in SingleRun(made, (), None).lines()
    ground = ground_for(claim(), result(STUB).verdicts[0])
    assert ground.evidence.endswith("Against PostgreSQL 15.18, a stub (consul).")


def test_markdown_says_it() -> None:
    record = parse_record(json.dumps(result_to_json(result(STUB), "")).encode(), "it")
    assert "Against PostgreSQL 15.18, a stub \\(consul\\)." in markdown(record)


def test_what_cells_need_is_counted_and_told_with_the_way_to_get_it(tmp_path: Path) -> None:
    missing = toy(name="lost", source="program", programs={"toyd": "toyd-that-is-not-there"})
    both, one = (
        Probe("a", "a", (), frameworks=("x",), services=("toy", "lost")),
        Probe("b", "b", (), frameworks=("y",), services=("toy",)),
    )
    cells = [planned(MINIMUM, ("a", "b")), planned(BEFORE, ("b", "unknown"))]
    needed = needed_by(cells, {"a": both, "b": one})
    assert needed == {"lost": 1, "toy": 2}
    assert users_of([one, both]) == {"lost": ("x",), "toy": ("x", "y")}
    with Services(recipes=recipes(toy(source="program"), missing), below=tmp_path) as services:
        lines = list(state_lines(services, needed))
    assert lines[0].startswith(
        "missing here    lost, for 1 cell: The toy: not installed here: toyd"
    )
    assert lines[1].startswith("back end        toy: Python ")


def test_by_hand_a_back_end_has_a_terminal_and_the_app_its_address() -> None:
    by_hand = ManualSteps(
        planned=planned(MINIMUM),
        probes=(),
        settings={"off": {}},
        folder=Path("/of the cell"),
        project=Path("/project"),
        python=Path("/python"),
        back_ends={"toy": "toy: Toy 1.0 (a stub)"},
    )
    comment, command = by_hand.beside()
    assert "toy: Toy 1.0 (a stub)" in comment
    assert command == (
        "cd /project && /python -m matrix services start toy | tee '/of the cell/toy.env'"
    )
    assert "  $(grep ^BOOKSHOP_ '/of the cell/toy.env') \\" in by_hand.session("off")
