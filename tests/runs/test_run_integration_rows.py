"""Every claim is in the report, and a reader takes the report in: rows, folds, one sentence."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree as ET

import pytest
from helpers.run_fakes import BEFORE, CONTROL, MINIMUM, SNAPSHOT, cell, claim, finding, part, plan
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from matrix.judging.claims import judge
from matrix.judging.findings import FindingTable
from matrix.judging.sentences import evidence_text
from matrix.model.cell import Cell
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.fact import Fact, FactKind, fact, text_facts
from matrix.model.plan import Omission, Plan
from matrix.model.reason import Reason
from matrix.model.verdict import Observed, Outcome, PartVerdict, Tightness, Verdict
from matrix.reporting.progress import VerdictBatches, display
from matrix.reporting.rows import VerdictRow, group_untested, group_verdicts, short_evidence
from matrix.reporting.summary import collect_remarks, headline
from matrix.reporting.terminal import print_report, render_svg
from matrix.reporting.text import claim_lines, promise_text, python_ranges, short_names
from matrix.runs.events import CellStarted, RunStarted, VerdictReached
from matrix.runs.record import Record


def written(
    kind: ClaimKind, subject: str, line: int, document: str = "a.md", **scope: str
) -> Claim:
    of = claim(line, kind, document)
    return dataclasses.replace(
        of,
        id=f"{document}/{kind.value}/{subject}/{line}/{sorted(scope.values())}",
        subject=subject,
        specifier="" if kind is ClaimKind.INTEGRATION else "<2",
        scope=tuple(scope.items()),
    )


def runtime(minor: str, line: int, document: str = "a.md", os: str = "linux") -> Claim:
    return written(ClaimKind.RUNTIME, "cpython", line, document, os=os, cpu="x86_64", python=minor)


def verdict(
    of: Claim,
    outcome: Outcome,
    reason: Reason | None = None,
    tightness: Tightness | None = None,
    *,
    facts: tuple[Fact, ...] = (),
    parts: int = 1,
) -> Verdict:
    facts = facts or (release_fact(Cell.parse(MINIMUM), text_facts("It does.")),)
    cells = (Cell.parse(MINIMUM),)
    made = PartVerdict("p", "c", cells, outcome, tightness, reason, facts)
    return Verdict(of.id, outcome, tightness, reason, facts, cells, (made,) * parts)


def open_verdict(of: Claim, reason: Reason) -> Verdict:
    return Verdict(of.id, Outcome.UNVERIFIED, None, reason, ())


def release_fact(
    of: Cell, facts: tuple[Fact, ...], kind: FactKind = FactKind.RELEASE, **values: str
) -> Fact:
    return fact(kind, of, by="tracer", facts=facts, **values)


def stimulus_fact(name: str, *texts: str, tried: int = 0) -> Fact:
    observed = [fact(FactKind.OBSERVED, text=text) for text in texts]
    return fact(FactKind.STIMULUS, stimulus=name, tried=tried, facts=observed)


def by_id(*claims: Claim) -> dict[str, Claim]:
    return {item.id: item for item in claims}


def test_runtimes_that_differ_in_their_cpython_are_one_row() -> None:
    claims = [
        runtime(f"=={minor}.*", 4, name)
        for name in ("a.md", "b.md")
        for minor in ("2.7", "3.6", "3.7", "3.8")
    ]
    other = runtime("==3.9.*", 4)
    verdicts = [verdict(item, Outcome.CONFIRMED) for item in claims]
    verdicts.append(verdict(other, Outcome.UNVERIFIED, Reason.CRASHED))
    first, second = group_verdicts(verdicts, by_id(*claims, other))
    assert promise_text(*first.claims) == "runtime cpython 2.7, 3.6-3.8 (ddtrace <2, linux/x86_64)"
    assert claim_lines(first.claims) == "a.md:4, b.md:4"
    # Four promises, each stated twice, each with one part.
    assert first.parts == (4, 4)
    assert second.claims == (other,)


def test_confirmed_frameworks_are_one_row_and_refuted_ones_are_not() -> None:
    django, flask = (
        written(ClaimKind.FRAMEWORK, name, line, capability="iast")
        for name, line in (("django", 1), ("flask", 2))
    )
    known = by_id(django, flask)
    (row,) = group_verdicts([verdict(item, Outcome.CONFIRMED) for item in (django, flask)], known)
    assert promise_text(*row.claims) == "framework django <2, flask <2 (capability iast)"
    assert (
        len(group_verdicts([verdict(item, Outcome.REFUTED) for item in (django, flask)], known))
        == 2
    )


def test_a_document_that_promises_less_is_another_row() -> None:
    open_, closed = claim(1), dataclasses.replace(claim(1), id="x", status=Status.PREVIEW)
    made = [verdict(item, Outcome.CONFIRMED) for item in (open_, closed)]
    assert len(group_verdicts(made, by_id(open_, closed))) == 2


def test_a_fold_lists_subjects_and_what_narrows_them() -> None:
    claims = [
        written(ClaimKind.INTEGRATION, "asgi", 48, automatic="no"),
        written(ClaimKind.INTEGRATION, "aiohttp", 49, role="client", automatic="yes"),
        written(ClaimKind.INTEGRATION, "aiohttp", 50, role="server", automatic="no"),
        written(ClaimKind.INTEGRATION, "bottle", 52, automatic="no"),
    ]
    nothing = [open_verdict(item, Reason.NO_PROBE) for item in claims]
    (made,) = group_untested(nothing, by_id(*claims))
    assert made.subjects == "asgi, aiohttp (client, server), bottle"
    assert claim_lines(made.claims) == "a.md:48-50,52"


def test_a_fold_of_runtimes_puts_platforms_with_equal_cpythons_together() -> None:
    claims = [
        runtime(f"=={minor}.*", 7, os=os) for os in ("macos", "windows") for minor in ("2.7", "3.5")
    ]
    claims.append(runtime(">=3.7", 8, os="macos"))
    nothing = [open_verdict(item, Reason.PLATFORM_NOT_HERE) for item in claims]
    (made,) = group_untested(nothing[:4], by_id(*claims))
    assert made.subjects == "cpython 2.7, 3.5 (ddtrace <2) on macos/x86_64, windows/x86_64"
    assert ">=3.7" in group_untested(nothing, by_id(*claims))[0].subjects


@given(st.sets(st.tuples(st.sampled_from([2, 3, 4]), st.integers(0, 14)), min_size=1))
def test_ranges_of_cpythons_hold_those_and_no_others(versions: set[tuple[int, int]]) -> None:
    claims = [runtime(f"=={major}.{minor}.*", 1) for major, minor in versions]
    shown = set()
    for word in python_ranges(claims).split(", "):
        first, _, last = word.partition("-")
        major, minor = map(int, first.split("."))
        until = int(last.split(".")[1]) if last else minor
        shown |= {(major, number) for number in range(minor, until + 1)}
    assert shown == versions


def test_long_names_of_documents_are_their_beginnings_and_never_alike() -> None:
    assert short_names(["page.md", "a_rather_long_name.md"]) == {
        "page.md": "page.md",
        "a_rather_long_name.md": "a_rather…",
    }
    alike = short_names(["compatibility-python.md", "compatibility-php.md"])
    assert set(alike.values()) == {"compatibility-py…", "compatibility-ph…"}
    assert short_names(["a_rather_long_name.md"] * 2) == {
        "a_rather_long_name.md": "a_rather_long_name.md"
    }


@given(st.sets(st.text("ab", min_size=1, max_size=14), max_size=6))
def test_short_names_tell_documents_apart(names: set[str]) -> None:
    made = short_names(names)
    assert set(made) == names
    assert len(set(made.values())) == len(names)
    assert all(len(short) <= len(name) for name, short in made.items())


def test_a_report_says_what_the_short_names_stand_for() -> None:
    long = dataclasses.replace(claim(), document="a_rather_long_name.md")
    of = plan([long, claim(2)], [part(long), part(claim(2))])
    verdicts = judge(of, FindingTable([finding(MINIMUM, Observed.PRESENT)]))
    out = io.StringIO()
    print_report(
        Console(file=out, width=180), Record.of(of, (), verdicts, SNAPSHOT, 1.0).dated("then")
    )
    assert "a_rather…:1 " in out.getvalue()
    assert "a_rather… is a_rather_long_name.md: English, “Capabilities”" in out.getvalue()


def lines_of(words: str) -> set[tuple[str, int]]:
    """Return the places that a text names, ranges expanded."""
    found = set()
    for document, numbers in re.findall(r"([\w.]+\.md):([\d,-]*\d)", words):
        for run in numbers.split(","):
            first, _, last = run.partition("-")
            found |= {(document, number) for number in range(int(first), int(last or first) + 1)}
    return found


def many_claims() -> Iterator[tuple[Claim, bool]]:
    """Yield claims of all kinds, and whether an experiment covers them."""
    for number, kind in enumerate(ClaimKind):
        if kind is not ClaimKind.RUNTIME:
            for name in ("a.md", "b.md"):
                for offset, subject in enumerate(("one", "two", "three")):
                    line = 10 * number + 2 * offset
                    yield written(kind, subject, line + 1, name, role="client"), offset != 1
    for line, minor in enumerate(("==2.7.*", "==3.8.*", "==3.9.*", ">=3.7")):
        yield runtime(minor, 200 + line), True
        yield runtime(minor, 220 + line, os="windows"), False


def whole_run() -> Record:
    made = list(many_claims())
    tried = [item for item, covered in made if covered]
    left_out = [
        Omission(item.id, "it", Reason.NO_PROBE if n % 2 else Reason.PLATFORM_NOT_HERE, "")
        for n, (item, covered) in enumerate(made)
        if not covered
    ]
    refuted = [part(item, minimum=BEFORE, before=None) for item in tried[::5]]
    rest = [part(item) for n, item in enumerate(tried) if n % 5]
    of = plan([item for item, _ in made], [*refuted, *rest], left_out)
    known = FindingTable(
        [
            finding(MINIMUM, Observed.PRESENT),
            finding(BEFORE, Observed.ABSENT),
            finding(CONTROL, Observed.PRESENT),
        ]
    )
    return Record.of(of, (), judge(of, known), SNAPSHOT, 1.0)


@pytest.mark.parametrize("width", [90, 180, 500])
def test_every_claim_is_in_the_report_with_its_subject_and_line(width: int) -> None:
    out = io.StringIO()
    print_report(Console(file=out, width=width), whole_run().dated("then"), every=True)
    # Where a row wraps is of no matter here.
    text = " ".join(out.getvalue().split())
    named = lines_of(re.sub(r"(?<=[,:-]) (?=\d)", "", text))
    claims = whole_run().claims
    assert {(item.document, item.line) for item in claims} <= named
    for item in claims:
        assert item.subject in text
    # Nothing is named that no claim says.
    assert named == {(item.document, item.line) for item in claims}


def test_a_sentence_begins_with_the_fact_and_its_cell_and_says_nothing_twice() -> None:
    lacks = stimulus_fact("redirect", "status 201", "no Location", "no Location", tried=3)
    shows = stimulus_fact("redirect", "status 303", "a", "b", "c", "d")
    minimum, before, control = map(Cell.parse, (MINIMUM, BEFORE, CONTROL))
    off = fact(FactKind.NOTHING_WITHOUT_FEATURE)
    facts = (
        release_fact(
            minimum, (fact(FactKind.LACKED, facts=[lacks]), fact(FactKind.REPEATS_AGREE, count=3))
        ),
        release_fact(control, (fact(FactKind.SHOWED, facts=[shows]), off), FactKind.CONTROL_SHOWS),
        off,
        release_fact(before, (), FactKind.RELEASE_BEFORE, shows="absent"),
    )
    whole = evidence_text(facts)
    assert whole.startswith(
        "ddtrace 1.9.0: Redirect: status 201; no Location; no Location, 3 tried. (3 of 3)"
        " ddtrace 1.20.0 in the same environment: Redirect: status 303; a; b; c; d."
    )
    row = VerdictRow((verdict(claim(), Outcome.REFUTED, facts=facts, parts=2),), (claim(),))
    text = short_evidence(row, 400)
    assert text.startswith(f"{MINIMUM}: Redirect: status 201; no Location. ")
    assert text.count("Redirect") == 1
    assert "tried" not in text
    assert "(3 of 3)" not in text
    assert (whole.count("With the feature off"), text.count("With the feature off")) == (2, 1)
    assert "ddtrace 1.20.0 in the same environment: status 303; a; b; …" in text
    assert text.endswith("Both parts fail.")
    # What does not fit goes as a whole, the control with the feature off first.
    short = short_evidence(row, len(text) - 1)
    assert "With the feature off" not in short
    assert "the release before, does not show it." in short
    assert len(short_evidence(row, 80)) <= 80


def test_a_sentence_keeps_repeats_that_differ_and_drops_ports() -> None:
    shows = stimulus_fact("get", "http.url='http://127.0.0.1:4986/s0a7f94c7d5e9473/books'")
    differ = fact(FactKind.REPEATS_DIFFER, counts=("2 x present", "1 x absent"))
    facts = (release_fact(Cell.parse(MINIMUM), (fact(FactKind.SHOWED, facts=[shows]), differ)),)
    assert "http://127.0.0.1:4986/s0a7f94c7d5e9473/books" in evidence_text(facts)
    row = VerdictRow((verdict(claim(), Outcome.CONFIRMED, facts=facts),), (claim(),))
    text = short_evidence(row, 400)
    assert text == f"{MINIMUM}: Get: http.url='/books'. Repeats differ: 2 x present, 1 x absent."


def started(claims: Sequence[Claim]) -> RunStarted:
    return RunStarted(plan(claims, [part(item) for item in claims]), 2)


def test_verdicts_that_fall_together_are_told_together_and_once() -> None:
    claims = [
        dataclasses.replace(claim(), id=name, document=name) for name in ("a.md", "b.md", "c.md")
    ]
    moments = VerdictBatches()
    assert moments.take(started(claims)) == []
    for item in claims[:2]:
        assert moments.take(VerdictReached(verdict(item, Outcome.CONFIRMED))) == []
    (row,) = moments.take(CellStarted(MINIMUM))
    assert [item.id for item in row.claims] == ["a.md", "b.md"]
    # The same answer to the same fact, later, is no news; another answer is.
    moments.take(VerdictReached(verdict(claims[2], Outcome.CONFIRMED)))
    assert moments.take(CellStarted(MINIMUM)) == []
    moments.take(VerdictReached(verdict(claims[2], Outcome.REFUTED)))
    (row,) = moments.take(CellStarted(MINIMUM))
    assert row.verdict.outcome is Outcome.REFUTED


class Flushed(io.StringIO):
    """A pipe: what has not been flushed, nobody has read."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = ""

    def flush(self) -> None:
        self.seen = self.getvalue()


def test_lines_are_flushed_at_once() -> None:
    out = Flushed()
    with display(Console(file=out, width=100), {}) as take:
        take(started([claim()]))
        assert "1 claim, 3 cells" in out.seen
        take(VerdictReached(verdict(claim(), Outcome.CONFIRMED)))
        take(CellStarted(MINIMUM))
        assert "✓ confirmed" in out.seen


def test_what_was_also_seen_is_told_once_with_the_other_cells() -> None:
    minimum, other = Cell.parse(MINIMUM), cell("1.9.0", "3.10")
    notes = [
        fact(FactKind.NOTE, name, facts=text_facts("it crashed in the soak"))
        for name in (minimum, other)
    ]
    parts = tuple(
        PartVerdict("p", "c", (name,), Outcome.CONFIRMED, None, None, text_facts("x"), (note,))
        for name, note in zip((minimum, other), notes, strict=True)
    )
    remarks = (*notes, fact(FactKind.OMITTED, count=2, reason="no-wheel"))
    of = Verdict(
        claim().id, Outcome.CONFIRMED, None, None, text_facts("x"), (minimum,), parts, remarks
    )
    (remark,) = collect_remarks(Record.of(started([claim()]).plan, (), (of,), SNAPSHOT, 1.0))
    assert remark.remark == f"{MINIMUM}: it crashed in the soak"
    assert remark.cells == (other.id,)
    assert remark.promises == (promise_text(claim()),)


def test_a_picture_is_well_formed_loads_nothing_and_is_the_same_every_time() -> None:
    run = whole_run()
    svg = render_svg(run)
    root = ET.fromstring(svg)  # noqa: S314 - made here
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    words = "".join(root.itertext()).replace("\xa0", " ")
    assert "refuted" in words
    assert "confirmed (exact)" in words
    assert headline(run) in words
    assert re.findall(r"https?:[^\s\"']+", svg) == ["http://www.w3.org/2000/svg"]
    assert "url(" not in svg.replace("url(#", "")
    assert (
        render_svg(dataclasses.replace(run, run=dataclasses.replace(run.run, seconds=99.0))) == svg
    )


def test_a_picture_names_no_address_and_counts_the_rows_that_it_leaves_out() -> None:
    claims = [claim(number) for number in range(1, 13)]
    facts = text_facts("ddtrace 1.9.0: Location: https://bookshop.example/closed.")
    made = tuple(verdict(item, Outcome.REFUTED, facts=facts) for item in claims)
    of = Plan("documented", SNAPSHOT, tuple(claims), (), (), (), ())
    svg = render_svg(Record.of(of, (), made, SNAPSHOT, 1.0))
    words = "".join(ET.fromstring(svg).itertext()).replace("\xa0", " ")  # noqa: S314 - made here
    assert "bookshop.example/closed" in words
    assert svg.count("://") == 1
    assert "and 4 rows more" in words
