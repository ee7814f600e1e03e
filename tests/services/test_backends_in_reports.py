"""The back ends of a verdict's cells, in every report of it."""

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
from helpers.toy_services import toy, toy_services
from rich.console import Console

from matrix.features.corrections.change import ground_for
from matrix.features.reproduce.run import SingleRun
from matrix.features.reproduce.script import ManualSteps
from matrix.judging.cells import findings_of
from matrix.judging.claims import judge
from matrix.judging.findings import FindingTable
from matrix.model.cell import Cell
from matrix.model.claim import ClaimKind
from matrix.model.fact import text_facts
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.model.service import Backend, ServiceIdentity, ServiceKind, against
from matrix.model.verdict import Finding, Outcome
from matrix.reporting.back_ends import count_needed_services, service_state_lines, service_users
from matrix.reporting.json import record_to_json
from matrix.reporting.markdown import render_markdown
from matrix.reporting.rows import group_verdicts
from matrix.reporting.terminal import print_report
from matrix.runs.journal import Entry
from matrix.runs.record import CellRecord, Record
from matrix.runs.record_store import parse_record
from matrix.system.paths import data_dir

POSTGRES = Backend("postgres", ServiceKind.SERVER, "PostgreSQL 15.18")
MOTO = Backend("aws", ServiceKind.SIMULATOR, "moto==5.0.28")
STUB = Backend("consul", ServiceKind.STUB, "stub 0123456789ab")


@pytest.mark.parametrize("kind", ServiceKind)
@pytest.mark.parametrize("version", ["PostgreSQL 15.18", "Redis: 7 (beta)", "moto==5.0.28", ""])
def test_an_identity_is_read_back(kind: ServiceKind, version: str) -> None:
    identity = ServiceIdentity("redis-cluster", kind, version, "program")
    assert Backend.parse(str(identity)) == Backend("redis-cluster", kind, version)


def test_a_simulator_and_a_stub_are_named_as_such() -> None:
    assert against([POSTGRES]) == "Against PostgreSQL 15.18."
    assert against([MOTO]) == "Against a simulator (moto 5.0.28)."
    assert against([STUB, POSTGRES, STUB]) == "Against a stub (consul), PostgreSQL 15.18."
    assert against([]) == ""


def findings_with(cell: str, *services: Backend, body: str = "blocked") -> tuple[Finding, ...]:
    captured = dataclasses.replace(capture(cell, body=body), services=services)
    return findings_of(captured, PROBES, PROBES)


def record_with(before: Backend = POSTGRES) -> Record:
    """Return the record of a run whose cell before the minimum had another back end."""
    by_cell = {
        MINIMUM: findings_with(MINIMUM, POSTGRES),
        BEFORE: findings_with(BEFORE, before, body="fine"),
        CONTROL: findings_with(CONTROL, POSTGRES),
    }
    cells = tuple(
        CellRecord(
            *(Cell.parse(cell), tuple(PROBES), None, "", 1.0, False, False, "key", "2026"), findings
        )
        for cell, findings in by_cell.items()
    )
    table = FindingTable(finding for findings in by_cell.values() for finding in findings)
    one_claim = plan([claim()], [part(claim())])
    return Record.of(one_claim, cells, judge(one_claim, table), SNAPSHOT, 1.0)


def test_a_verdict_names_the_back_ends_of_all_cells_that_it_rests_on() -> None:
    (verdict,) = record_with(STUB).verdicts
    assert verdict.outcome is Outcome.CONFIRMED
    assert verdict.backends == verdict.parts[0].backends == (POSTGRES, STUB)


def test_a_cell_that_failed_names_them_too() -> None:
    lost = dataclasses.replace(capture(MINIMUM), services=(STUB,), failed=Reason.BACK_END_LOST)
    assert {finding.backends for finding in findings_of(lost, PROBES, PROBES)} == {(STUB,)}


def test_the_table_never_omits_them() -> None:
    out = io.StringIO()
    record = record_with(STUB)
    verdicts = tuple(
        dataclasses.replace(
            verdict,
            parts=tuple(
                dataclasses.replace(item, facts=(*item.facts, *text_facts("word " * 200)))
                for item in verdict.parts
            ),
        )
        for verdict in record.verdicts
    )
    print_report(Console(file=out, width=400), dataclasses.replace(record, verdicts=verdicts))
    assert "Against PostgreSQL 15.18, a stub (consul)." in out.getvalue()


def test_the_json_has_them_by_its_schema_and_is_read_back() -> None:
    data = record_to_json(record_with(STUB))
    schema = json.loads((data_dir() / "schemas" / "verdicts.schema.json").read_text("utf-8"))
    jsonschema.validate(json.loads(json.dumps(data)), schema)
    assert data["verdicts"][0]["back_ends"] == [str(POSTGRES), str(STUB)]
    assert data["cells"][1]["back_ends"] == [str(STUB)]
    assert data["cells"][1]["findings"][0]["back_ends"] == [str(STUB)]
    record = parse_record(json.dumps(data).encode(), "it")
    assert record.verdicts == record_with(STUB).verdicts
    assert record.cells[1].findings == record_with(STUB).cells[1].findings


def test_the_journal_has_them_and_older_entries_are_read() -> None:
    findings = findings_with(MINIMUM, STUB)
    entry = Entry(
        *("key", "base", {}, (), False, MINIMUM, None, "", "2026", 1.0, False, "judge"), findings
    )
    data = json.loads(json.dumps(entry.to_json()))
    assert Entry.from_json(data).findings == findings
    for item in data["findings"]:
        del item["back_ends"]
    assert Entry.from_json(data).findings[0].backends == ()


def test_results_with_a_stub_and_with_the_product_are_separate_rows() -> None:
    claims = [claim(number, ClaimKind.INTEGRATION) for number in (1, 2, 3)]
    claims = [dataclasses.replace(item, scope=()) for item in claims]
    verdicts = [
        dataclasses.replace(record_with(backend).verdicts[0], claim=item.id)
        for item, backend in zip(claims, (POSTGRES, STUB, POSTGRES), strict=True)
    ]
    rows = group_verdicts(verdicts, {item.id: item for item in claims})
    assert [row.claims for row in rows] == [(claims[0], claims[2]), (claims[1],)]


def test_a_single_cell_and_a_proposal_have_them() -> None:
    captured = dataclasses.replace(capture(MINIMUM), services=(MOTO,))
    assert "  Against a simulator (moto 5.0.28)." in SingleRun(captured, (), None).lines()
    ground = ground_for(claim(), record_with(STUB).verdicts[0])
    assert ground.evidence.endswith("Against PostgreSQL 15.18, a stub (consul).")


def test_markdown_has_them() -> None:
    record = parse_record(json.dumps(record_to_json(record_with(STUB))).encode(), "it")
    assert "Against PostgreSQL 15.18, a stub \\(consul\\)." in render_markdown(record)


def test_needed_services_are_counted_and_reported_with_the_remedy(tmp_path: Path) -> None:
    missing = toy(name="lost", source="program", programs={"toyd": "toyd-that-is-not-there"})
    probe_a, probe_b = (
        Probe("a", "a", (), frameworks=("x",), services=("toy", "lost")),
        Probe("b", "b", (), frameworks=("y",), services=("toy",)),
    )
    cells = [planned(MINIMUM, ("a", "b")), planned(BEFORE, ("b", "unknown"))]
    needed = count_needed_services(cells, {"a": probe_a, "b": probe_b})
    assert needed == {"lost": 1, "toy": 2}
    assert service_users([probe_b, probe_a]) == {"lost": ("x",), "toy": ("x", "y")}
    with toy_services(tmp_path, toy(source="program"), missing) as services:
        lines = list(service_state_lines(services, needed))
    assert lines[0].startswith(
        "missing here    lost, for 1 cell: The toy: not installed here: toyd"
    )
    assert lines[1].startswith("back end        toy: Python ")


def test_manual_steps_start_a_back_end_and_pass_its_address() -> None:
    by_hand = ManualSteps(
        planned=planned(MINIMUM),
        probes=(),
        settings={"off": {}},
        folder=Path("/of the cell"),
        project=Path("/project"),
        python=Path("/python"),
        back_ends={"toy": "toy: Toy 1.0 (a stub)"},
    )
    comment, command = by_hand.back_end_commands()
    assert "toy: Toy 1.0 (a stub)" in comment
    assert command == (
        "cd /project && /python -m matrix services start toy | tee '/of the cell/toy.env'"
    )
    assert "  $(grep ^BOOKSHOP_ '/of the cell/toy.env') \\" in by_hand.session_commands("off")
