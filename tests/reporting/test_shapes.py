"""What only stood in for a deployment is said in every report, counted apart, and not green."""

from __future__ import annotations

import dataclasses
import io

import pytest
from helpers.record_fixture import cell_record, part_verdict, record_of_verdicts, verdict_on
from helpers.run_fakes import MINIMUM, claim
from rich.console import Console

from matrix.errors import ExitCode
from matrix.model.cell import Cell
from matrix.model.verdict import Outcome
from matrix.reporting.html import render_page
from matrix.reporting.json import record_to_json
from matrix.reporting.junit import junit_xml
from matrix.reporting.markdown import badge_to_json, render_markdown
from matrix.reporting.summary import headline
from matrix.reporting.terminal import print_report
from matrix.runs.record import Record
from matrix.runs.run import exit_code

WORDS = "in the shape of a Fargate task, not on AWS"


def record_in(place: str) -> Record:
    cell = dataclasses.replace(Cell.parse(MINIMUM), place=place)
    of = claim()
    part = dataclasses.replace(part_verdict(MINIMUM), cells=(cell,))
    verdict = dataclasses.replace(verdict_on(of, Outcome.CONFIRMED, part), cells=(cell,))
    made = record_of_verdicts((of, verdict))
    run = dataclasses.replace(made.run, snapshot="2026-11-20T12:00:00+00:00")
    return dataclasses.replace(made, run=run, cells=(cell_record(cell),))


def reports(record: Record) -> dict[str, str]:
    out = io.StringIO()
    print_report(Console(file=out, width=90), record)
    return {
        "terminal": out.getvalue(),
        "markdown": render_markdown(record),
        "html": render_page(record, lambda _: None),
        "junit": junit_xml(record),
    }


@pytest.mark.parametrize("name", ["terminal", "markdown", "html", "junit"])
def test_each_report_says_that_it_was_no_deployment(name: str) -> None:
    assert WORDS in " ".join(reports(record_in("fargate-shaped"))[name].split())
    assert "the shape of" not in reports(record_in("kubernetes"))[name]


def test_they_are_counted_apart_at_the_top() -> None:
    assert headline(record_in("fargate-shaped")).endswith(
        "1 of them only in the shape of a deployment"
    )
    assert headline(record_in("kubernetes")) == "1 of 1 promise asked holds"


def test_the_json_names_place_and_shape() -> None:
    made = record_to_json(record_in("fargate-shaped"))
    assert made["verdicts"][0]["shapes"] == [WORDS]
    assert made["cells"][0]["place"] == "fargate-shaped"


def test_a_shape_is_not_green() -> None:
    assert badge_to_json(record_in("fargate-shaped"))["color"] == "yellow"
    assert badge_to_json(record_in("kubernetes"))["color"] == "brightgreen"
    assert "<skipped" in junit_xml(record_in("fargate-shaped"))
    assert "<skipped" not in junit_xml(record_in("kubernetes"))


def test_strict_accepts_a_shape_by_the_name_of_its_place() -> None:
    record = record_in("fargate-shaped")
    assert exit_code(record, strict=False) is ExitCode.OK
    assert exit_code(record, strict=True) is ExitCode.UNVERIFIED
    assert exit_code(record, strict=True, accepted=["ecs-shaped"]) is ExitCode.UNVERIFIED
    assert exit_code(record, strict=True, accepted=["fargate-shaped"]) is ExitCode.OK
    assert exit_code(record_in("kubernetes"), strict=True) is ExitCode.OK
