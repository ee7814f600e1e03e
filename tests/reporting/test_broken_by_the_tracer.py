"""What every report says of a promise that is refuted because the tracer breaks the app."""

from __future__ import annotations

import dataclasses
import io

import pytest
from helpers.record_fixture import GOOD, record_of_verdicts
from helpers.run_fakes import CHANNEL, PROBE, claim
from rich.console import Console

from matrix.judging.claims import roll_up
from matrix.judging.sentences import breakage_line
from matrix.model.cell import Cell
from matrix.model.fact import Fact, FactKind, fact
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome, PartVerdict
from matrix.reporting.html import render_page
from matrix.reporting.junit import junit_xml
from matrix.reporting.markdown import render_markdown
from matrix.reporting.summary import reason_summaries, untested_claims
from matrix.reporting.terminal import print_report
from matrix.runs.record import Record

CELL = Cell.parse("cp37-linux_x86_64-redis2.6.0-ddtrace2.21.12")
LINE = (
    "redis 2.6.0 with ddtrace 2.21.12 on CPython 3.7: works without ddtrace, does not start with it"
)
COMMANDS = (f"nox -s reproduce -- {CELL.id} --run", f"nox -s reproduce -- {CELL.id} --bare --run")


def breaks(way: str = "does-not-start") -> tuple[Fact, ...]:
    words = fact(FactKind.NOT_STARTED, detail="exit code 1", last_words="AttributeError: x")
    broken = fact(FactKind.BREAKS_APP, way=way, count=3, tracing_off="fails", facts=[words])
    facts = (broken, fact(FactKind.WORKS_BARE))
    return (fact(FactKind.RELEASE, CELL, by="both", facts=facts),)


@pytest.fixture
def record() -> Record:
    part = PartVerdict(PROBE, CHANNEL, (CELL,), Outcome.REFUTED, None, Reason.BREAKS_APP, breaks())
    verdict = roll_up(GOOD, [part], (), ())
    return record_of_verdicts((GOOD, verdict))


def printed(record: Record) -> str:
    out = io.StringIO()
    run = dataclasses.replace(record.run, snapshot="2026-11-20T12:00:00+00:00")
    print_report(Console(file=out, width=400), dataclasses.replace(record, run=run))
    return out.getvalue()


def page(record: Record) -> str:
    return render_page(record, lambda _: None)


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("does-not-start", "does not start with it"),
        ("crashes", "crashes with it"),
        ("answers-otherwise", "answers otherwise with it"),
        ("starts-untraced", "is not traced with it once the feature is on"),
    ],
)
def test_each_way_of_breaking_an_app_is_one_line(way: str, words: str) -> None:
    found = breakage_line(breaks(way))
    assert found is not None
    assert found[0] == CELL
    assert found[1].endswith(f"works without ddtrace, {words}")


def test_there_is_no_line_where_nothing_is_broken() -> None:
    assert breakage_line([fact(FactKind.RELEASE, CELL, by="both")]) is None


@pytest.mark.parametrize("render", [printed, render_markdown, junit_xml, page])
def test_every_report_has_the_line_and_the_commands(render: object, record: Record) -> None:
    assert callable(render)
    text = " ".join(str(render(record)).split())
    assert LINE in text.replace("\\", "")
    for command in COMMANDS:
        assert command in text


def test_a_refuted_claim_is_not_listed_as_one_that_could_not_be_verified(record: Record) -> None:
    assert reason_summaries(record) == []
    assert untested_claims(record) == []
    assert "not verified, and how" not in printed(record)
    assert "Why claims could not be checked" not in render_markdown(record)
    assert 'href="#why"' not in page(record)


def test_an_unverified_claim_still_is(record: Record) -> None:
    other = claim(2)
    verdict = roll_up(other, (), (), ())
    both = record_of_verdicts((GOOD, record.verdicts[0]), (other, verdict))
    (summary,) = reason_summaries(both)
    assert (summary.reason, summary.claims) == (Reason.NO_PROBE, 1)
    assert "Why claims could not be checked" in render_markdown(both)


def test_a_page_can_be_filtered_by_the_way_a_claim_is_refuted(record: Record) -> None:
    assert '<option value="breaks-app">' in page(record)
