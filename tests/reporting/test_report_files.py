"""A recorded run for other programs: JUnit XML, Markdown, a badge. Only confirmed is green."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
import xmlschema
from helpers.record_fixture import CONFIRMED, CRASHED, REFUTED, record_of
from helpers.run_fakes import claim
from hypothesis import given
from hypothesis import strategies as st
from junitparser.xunit2 import JUnitXml

from matrix.model.fact import text_facts
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome
from matrix.reporting.diff import compare_records
from matrix.reporting.junit import junit_xml
from matrix.reporting.markdown import COMMENT_BYTES, SUMMARY_BYTES, badge_to_json, render_markdown
from matrix.reporting.summary import outcome_counts, unasked_text
from matrix.runs.record import Record
from matrix.system.paths import project_root

SCHEMA = xmlschema.XMLSchema(str(project_root() / "tests" / "helpers" / "xunit2.xsd"))
ANSWERS = st.lists(st.sampled_from([CONFIRMED, REFUTED, CRASHED]), max_size=30)


def many(answers: Sequence[tuple[Outcome, Reason | None]], evidence: str = "as seen") -> Record:
    made = record_of(*((claim(number), answer) for number, answer in enumerate(answers)))
    facts = text_facts(evidence)
    verdicts = tuple(dataclasses.replace(one, facts=facts) for one in made.verdicts)
    run = dataclasses.replace(made.run, started="2026-11-20T12:00:00+01:00")
    return dataclasses.replace(made, verdicts=verdicts, run=run)


@given(ANSWERS, st.text())
def test_junit_is_what_its_schema_says_and_counts_as_the_run_does(
    answers: Sequence[tuple[Outcome, Reason | None]], evidence: str
) -> None:
    made = many(answers, evidence)
    text = junit_xml(made)
    SCHEMA.validate(text)
    read = JUnitXml.fromstring(text.encode())
    cases = [case for suite in read for case in suite]
    passed = sum(not case.is_skipped and not case.is_failure for case in cases)
    assert len(cases) == len(answers)
    assert passed == made.count(Outcome.CONFIRMED)
    assert sum(case.is_failure for case in cases) == made.count(Outcome.REFUTED)
    assert sum(case.is_skipped for case in cases) == made.count(Outcome.UNVERIFIED)


def test_junit_skips_with_the_reason_and_tells_a_time_as_the_schema_has_it() -> None:
    text = junit_xml(many([CRASHED]))
    assert 'type="unverified (crashed)"' in text
    assert 'message="crashed: ' in text
    assert 'timestamp="2026-11-20T11:00:00"' in text


def test_the_schema_itself_can_fail() -> None:
    assert not SCHEMA.is_valid("<testsuites><testsuite name='x'/></testsuites>")


@given(ANSWERS, st.integers(min_value=2_000, max_value=20_000))
def test_markdown_keeps_its_size_and_leaves_nothing_untold(
    answers: Sequence[tuple[Outcome, Reason | None]], most: int
) -> None:
    made = many(answers, "wörd " * 80)
    text = render_markdown(made, most=most)
    assert len(text.encode()) <= most
    for outcome, count in outcome_counts(made).items():
        assert f"**{count} {outcome.value}**" in text
    assert unasked_text(made) in text


@pytest.fixture(scope="module")
def too_large() -> Record:
    return many([CONFIRMED] * 20_000 + [REFUTED] * 50, "word " * 70)


@pytest.mark.parametrize("most", [COMMENT_BYTES, SUMMARY_BYTES])
def test_markdown_of_a_run_too_large_shows_what_is_refuted_and_counts_the_rest(
    too_large: Record, most: int
) -> None:
    text = render_markdown(too_large, most=most)
    assert len(text.encode()) <= most
    assert text.count("| ✗ refuted") == 50
    assert text.index("### Refuted") < (text + "### Confirmed").index("### Confirmed")


def test_markdown_shows_words_as_they_are() -> None:
    text = render_markdown(many([REFUTED], "<script>alert(1)</script> | *bold* [link](x)"))
    assert "<script>" not in text
    assert r"\|" in text
    assert r"\[link\]\(x\)" in text


def test_markdown_calls_nobody() -> None:
    assert "@emma" not in render_markdown(many([REFUTED], "ask @emma"))


def test_markdown_tells_what_changed_since_the_run_before() -> None:
    before, after = many([CONFIRMED]), many([REFUTED])
    assert "**worse**" in render_markdown(after, compare_records(before, after))


@pytest.mark.parametrize(
    ("answers", "color"),
    [
        ([CONFIRMED, CONFIRMED], "brightgreen"),
        ([CONFIRMED, CRASHED], "yellow"),
        ([CONFIRMED, CRASHED, REFUTED], "red"),
        ([], "yellow"),
    ],
)
def test_the_badge_is_green_only_where_everything_is_confirmed(
    answers: Sequence[tuple[Outcome, Reason | None]], color: str
) -> None:
    assert badge_to_json(many(answers))["color"] == color


def test_the_badge_of_an_interrupted_run_is_not_green() -> None:
    made = many([CONFIRMED])
    cut = dataclasses.replace(made, run=dataclasses.replace(made.run, interrupted=True))
    assert badge_to_json(cut)["color"] == "yellow"
