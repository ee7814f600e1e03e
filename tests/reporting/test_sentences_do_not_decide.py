"""Sentences are for people: whatever they say, every report counts, orders and marks the same."""

from __future__ import annotations

import dataclasses
import io
import json
import random
import re
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from helpers.run_fakes import (
    BEFORE,
    CONTROL,
    MINIMUM,
    OLDER,
    SNAPSHOT,
    capture,
    cell,
    claim,
    finding,
    part,
    plan,
    planned,
)
from rich.console import Console

from matrix.judging import sentences
from matrix.judging.claims import judge
from matrix.judging.findings import FindingTable
from matrix.model.capture import CellLocation
from matrix.model.claim import ClaimKind
from matrix.model.fact import Fact, FactKind, fact, text_facts
from matrix.model.plan import Omission, StaticEvidence
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed, Outcome
from matrix.reporting.diff import compare_records
from matrix.reporting.html import render_page
from matrix.reporting.html_charts import build_heat_map, verdict_strips
from matrix.reporting.json import json_text, record_to_json
from matrix.reporting.junit import junit_xml
from matrix.reporting.markdown import badge_to_json, render_markdown
from matrix.reporting.progress import VerdictBatches
from matrix.reporting.rows import VerdictRow
from matrix.reporting.summary import (
    cell_counts,
    collect_remarks,
    location_lines,
    outcome_counts,
    reason_summaries,
    target_marks,
    untested_claims,
    verdict_rows,
)
from matrix.reporting.terminal import counts_line, print_closing, print_report
from matrix.runs.events import RunFinished, RunStarted, VerdictReached
from matrix.runs.record import CellRecord, Record
from matrix.runs.record_store import parse_record
from matrix.runs.run import exit_code

# What a sentence may say, the worst for whoever would look into it.
WORDS = (
    "",
    "✗ refuted",
    "✓ confirmed (exact)",
    "unverified (crashed)",
    "Not tested: ",
    "With the feature off it does not show.",
    "(3 of 3)",
    "2 left out: no-wheel",
    f"{MINIMUM}: ",
    f"the newest release seen to have it is {CONTROL}",
    "ddtrace 1.9.0: ",
    "| refuted | claim |",
    "### Refuted",
    "<failure/> & ]]>",
    "No capture",
)
NEWER = cell("1.21.0").id
# The fields of a record that hold sentences.
TEXTS = {"evidence", "remarks", "notes", "detail"}


def noted(of: Finding, text: str) -> Finding:
    note = fact(FactKind.SHOWED_NOTHING, stimulus="second vector", text=text)
    return dataclasses.replace(of, notes=(note,))


def made_record() -> Record:
    """Return a run with every outcome, remarks of several kinds, and gaps of several reasons."""
    claims = [claim(number) for number in range(1, 9)]
    exact, early, absent, crashed, newest, elsewhere, bare, indexed = claims
    other, other_before = (name.replace("x86_64", "i686") for name in (MINIMUM, BEFORE))
    parts = [
        part(exact),
        part(early, minimum=CONTROL, before=OLDER, controls=()),
        part(absent, minimum=BEFORE, before=None),
        part(absent),
        part(crashed, minimum=other, before=other_before, controls=()),
        part(newest, before=None, controls=(NEWER, CONTROL)),
        part(newest, minimum=OLDER, before=None, controls=(NEWER, CONTROL)),
    ]
    omissions = [
        Omission(exact.id, "linux_aarch64", Reason.NO_WHEEL, "no wheel"),
        Omission(exact.id, "cp27", Reason.NO_WHEEL, "no wheel"),
        Omission(elsewhere.id, "win_amd64", Reason.PLATFORM_NOT_HERE, "this is linux_x86_64"),
        Omission(bare.id, "it", Reason.NO_PROBE, ""),
    ]
    index = StaticEvidence(indexed.id, refutes=True, evidence="The index lists no such wheel.")
    names = (MINIMUM, BEFORE, CONTROL, OLDER, NEWER, other)
    of = dataclasses.replace(
        plan([*claims, claim(9, ClaimKind.DEPLOYMENT)], parts, omissions, names, ()),
        static=(index,),
    )
    present, no = Observed.PRESENT, Observed.ABSENT
    known = [
        noted(finding(MINIMUM, present), "status 200"),
        finding(BEFORE, no),
        noted(finding(CONTROL, present), "status 200"),
        noted(finding(OLDER, present), "status 404"),
        finding(NEWER, no),
        finding(other, Reason.CRASHED),
    ]
    where = CellLocation.of(capture(MINIMUM))
    records = tuple(
        CellRecord(
            item.cell, planned(MINIMUM).probes, item.reason, "", 1.0,
            reused=False, fallback=item.cell == known[3].cell, key="k", started="2026-11-20",
            findings=(item,), where=where,
        )
        for item in known
    )  # fmt: skip
    verdicts = judge(of, FindingTable(known))
    return Record.of(of, records, verdicts, SNAPSHOT, 1.0, warnings=("a warning",)).dated("then")


def row_of(row: VerdictRow) -> tuple[object, ...]:
    return tuple(item.id for item in row.claims), row.verdict.outcome, row.parts, row.verdict.reason


def without_texts(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {name: without_texts(item) for name, item in value.items() if name not in TEXTS}
    return [without_texts(item) for item in value] if isinstance(value, list) else value


def batches(record: Record) -> list[object]:
    taken = VerdictBatches()
    taken.take(RunStarted(dataclasses.replace(plan(), claims=record.claims), 1))
    for verdict in record.verdicts:
        taken.take(VerdictReached(verdict))
    return [row_of(row) for row in taken.take(RunFinished(interrupted=False))]


def colours(record: Record) -> list[str]:
    """Return what the terminal shows in the colour of an outcome, in order."""
    out = io.StringIO()
    console = Console(
        file=out, width=400, force_terminal=True, color_system="standard", legacy_windows=False
    )
    print_report(console, record)
    print_closing(console, record, {})
    return re.findall(r"\x1b\[[1-9][0-9;]*m[✓✗?] [^\x1b]*", out.getvalue())


def junit(record: Record) -> list[tuple[str | None, list[tuple[str, str | None]]]]:
    root = ET.fromstring(junit_xml(record))  # noqa: S314 - made here
    return [
        (
            case.get("name"),
            [(item.tag, item.get("type")) for item in case if item.tag != "system-out"],
        )
        for case in root.iter("testcase")
    ]


def markdown_rows(record: Record) -> list[list[str]]:
    """Return titles, and of each row of a table the verdict, the promise and the place."""
    # A bar within a cell is escaped.
    lines = [line for line in render_markdown(record).splitlines() if re.match(r"[|#]", line)]
    return [re.split(r"(?<!\\)\|", line)[:4] for line in lines]


def decisions(record: Record) -> Mapping[str, object]:
    """Return all that reports say of a run, but for sentences."""
    heat = build_heat_map(record)
    refuted = tuple(
        dataclasses.replace(item, outcome=Outcome.REFUTED, tightness=None, reason=None)
        for item in record.verdicts
    )
    found = compare_records(record, dataclasses.replace(record, verdicts=refuted))
    tags = re.findall(r"<(\w+)[^>]*?(class=\"[\w -]*\")?", render_page(record, lambda _cell: None))
    return {
        "exit code": [exit_code(record, strict=strict) for strict in (False, True)],
        "head": (counts_line(record).plain, counts_line(record).spans),
        "colours": colours(record),
        "marks": target_marks(record.verdicts),
        "rows": list(map(row_of, verdict_rows(record))),
        "untested": untested_claims(record),
        "remarks": [(item.promises, item.cells) for item in collect_remarks(record)],
        "counts": outcome_counts(record),
        "gaps": reason_summaries(record),
        "cells": (cell_counts(record), list(location_lines(record))),
        "told while it runs": batches(record),
        "junit": junit(record),
        "markdown": markdown_rows(record),
        "badge": badge_to_json(record),
        "diff": [(item.direction, item.side.claim.id) for item in found.changes],
        "json": without_texts(record_to_json(record)),
        "map": [(line.group, line.claims, line.squares) for line in heat.lines],
        "strips": verdict_strips(record, heat),
        "tags": tags,
    }


def test_the_run_has_all_that_a_sentence_could_change() -> None:
    record = made_record()
    assert [record.count(outcome) for outcome in Outcome] == [3, 2, 4]
    assert target_marks(record.verdicts) == "amd64 ✗ 386 ?"
    assert len(collect_remarks(record)) == 3
    assert {gap.reason for gap in reason_summaries(record)} == {
        Reason.NO_PROBE, Reason.CRASHED, Reason.PLATFORM_NOT_HERE,
    }  # fmt: skip
    # The counts stand at the top and at the end, and there are six rows.
    assert len(colours(record)) == 3 + 6 + 3


@pytest.mark.parametrize("seed", range(4))
def test_no_report_looks_into_a_sentence(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = made_record()
    expected_decisions = decisions(expected)
    texts = json_text(record_to_json(expected))
    drawn = random.Random(seed)  # noqa: S311 - no secret

    def anything(_fact: Fact, *_labels: object) -> str:
        return " ".join(drawn.choices(WORDS, k=drawn.randrange(4)))

    render: Callable[[Fact], str] = anything
    monkeypatch.setattr(sentences, "_PLAIN", dict.fromkeys(FactKind, render))
    prefixes = dict.fromkeys(drawn.sample(list(FactKind), k=drawn.randrange(9)), render)
    monkeypatch.setattr(sentences, "_PREFIXES", prefixes)
    monkeypatch.setattr(sentences, "_short_stimuli", anything)
    record = made_record()
    assert record == expected, "judging does not look into sentences either"
    assert decisions(record) == expected_decisions
    text = json_text(record_to_json(record))
    assert text != texts
    again = parse_record(text.encode(), "again")
    assert again.verdicts == expected.verdicts
    assert decisions(dataclasses.replace(again, sha256="", name="")) == expected_decisions


def test_a_record_without_facts_counts_and_orders_the_same() -> None:
    """A file of an earlier version has sentences only."""
    record = made_record()
    data = json.loads(json_text(record_to_json(record)))
    for verdict in data["verdicts"]:
        for answer in (verdict, *verdict["parts"]):
            del answer["facts"], answer["remark_facts"]
    old = parse_record(json.dumps(data).encode(), "old")
    assert old.verdicts[0].facts == text_facts(sentences.evidence_text(record.verdicts[0].facts))
    for decide in (outcome_counts, reason_summaries, badge_to_json, junit, colours):
        assert decide(old) == decide(record)
    assert list(map(row_of, verdict_rows(old))) == list(map(row_of, verdict_rows(record)))
