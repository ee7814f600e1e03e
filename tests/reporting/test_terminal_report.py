"""What the user sees: every claim, refuted first, why not, and how to get there; also as JSON."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterable
from pathlib import Path

import jsonschema
import pytest
from helpers.record_fixture import BAD, GOOD, OPEN, TWIN, mixed_plan, mixed_record, stored_cell
from helpers.run_fakes import BEFORE, CONTROL, MINIMUM, SNAPSHOT, claim, finding, part, plan
from rich.console import Console

from matrix.errors import ExitCode, StorageError
from matrix.judging.claims import judge
from matrix.judging.findings import FindingTable
from matrix.model.claim import Claim
from matrix.model.reason import Reason
from matrix.model.verdict import Observed, Outcome
from matrix.reporting.json import record_to_json, write_text_json
from matrix.reporting.progress import RunCounts, display
from matrix.reporting.summary import (
    cell_counts,
    document_titles,
    reason_summaries,
    untested_claims,
    verdict_rows,
)
from matrix.reporting.terminal import print_closing, print_report
from matrix.reporting.text import load_reasons
from matrix.runs.events import (
    CellFinished,
    CellStarted,
    ControlAdded,
    EnvironmentFailed,
    EnvironmentReady,
    EnvironmentRequested,
    Event,
    RunFinished,
    RunStarted,
    VerdictReached,
    WarningRaised,
)
from matrix.runs.record import Record
from matrix.runs.run import exit_code
from matrix.system.paths import data_dir

COUNTED = "2 of 3 promises asked hold: ✗ 1 refuted, ✓ 2 confirmed, ? 0 unverified"


def printed(of: Record, width: int = 400, *, every: bool = True) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width)
    print_report(console, of.dated("the time of each release"), every=every)
    return out.getvalue()


def closed(of: Record, width: int = 120) -> list[str]:
    out = io.StringIO()
    print_closing(Console(file=out, width=width), of, {"record": "records/then.json"})
    return out.getvalue().splitlines()


def test_every_reason_has_words_and_every_word_a_reason() -> None:
    words = load_reasons()
    assert set(words) == set(Reason)
    for explained in words.values():
        assert explained.title
        assert explained.sentence.endswith(".")
        assert explained.remedy


def test_a_remedy_names_the_cell_to_try() -> None:
    assert MINIMUM in load_reasons()[Reason.CRASHED].remedy_for(MINIMUM)
    assert "{cell}" not in load_reasons()[Reason.CRASHED].remedy_for("")


def test_rows_hold_what_was_tried_refuted_first_and_equal_facts_once() -> None:
    made = verdict_rows(mixed_record())
    assert [row.verdict.outcome for row in made] == [Outcome.REFUTED, Outcome.CONFIRMED]
    assert [tuple(item.id for item in row.claims) for row in made] == [
        (BAD.id,),
        (GOOD.id, TWIN.id),
    ]
    (fold,) = untested_claims(mixed_record())
    assert fold.claims == (OPEN,)


def test_the_report_names_outcome_place_evidence_and_remedy() -> None:
    text = printed(mixed_record(warnings=("the disk is full",)))
    lines = text.splitlines()

    def line_of(what: str) -> int:
        return next(number for number, line in enumerate(lines) if what in line)

    refuted, confirmed = lines[line_of("✗ refuted ")], lines[line_of("✓ confirmed (exact)")]
    # The fact that decides, with its cell, then the control.
    assert f"{BEFORE}: Seen to be absent. ddtrace 1.20.0 in the same environment" in refuted
    assert lines[line_of("✗ refuted ") + 1].strip() == "a.md:2"
    assert f"{MINIMUM}: Seen to be present." in confirmed
    assert lines[line_of("✓ confirmed (exact)") + 1].strip() == "a.md:1, b.md:77"
    assert line_of("✗ refuted ") < line_of("✓ confirmed (exact)") < line_of("not verified, and")
    folded = line_of("capability (1): threat-detection (3)")
    assert folded > line_of("not verified, and")
    assert lines[folded + 1].strip() == "a.md:3"
    assert "platform-not-here), 1 claim:" in text
    assert load_reasons()[Reason.PLATFORM_NOT_HERE].remedy in text
    assert text.count(f"{COUNTED}; 1 was not asked in this run") == 1
    assert line_of(COUNTED) < line_of("✗ refuted ")
    assert "2 run, 1 reused" in text
    assert "documented" in text
    assert "the time of each release" in text
    assert "the disk is full" in text


@pytest.mark.parametrize("width", [40, 80, 120, 180])
def test_a_report_of_any_width_names_every_place_and_outcome(width: int) -> None:
    text = "".join(printed(mixed_record(), width).split())
    for place in ("a.md:2", "a.md:1,b.md:77", "a.md:3"):
        assert place in text
    assert text.index("✗refuted") < text.index("✓confirmed(exact)")
    assert max(len(line) for line in printed(mixed_record(), width).splitlines()[:12]) <= width


def test_what_was_not_asked_is_listed_only_when_told_and_counted_last() -> None:
    brief = printed(mixed_record(), every=False)
    assert "a.md:3" not in brief
    assert "not verified, and how" not in brief
    assert closed(mixed_record()) == [
        "",
        f"{COUNTED}; 1 was not asked in this run",
        "  ✗ capability threat-detection >=1.9.0 (number 2) [a.md:2]",
        "  · 1 not asked, other platform (platform-not-here); --all lists them",
        "cells     2 run, 1 reused, in 12.5 s",
        "record    records/then.json",
    ]


def test_the_end_of_a_run_of_any_size_fits_on_one_screen() -> None:
    (refuted,) = (item for item in mixed_record().verdicts if item.claim == BAD.id)
    open_ = [
        dataclasses.replace(refuted, outcome=Outcome.UNVERIFIED, reason=reason) for reason in Reason
    ]
    unasked = [dataclasses.replace(item, parts=(), cells=()) for item in open_]
    answers = [*[refuted] * 40, *open_, *unasked]
    claims = [claim(number) for number in range(len(answers))]
    record = dataclasses.replace(
        mixed_record(),
        claims=tuple(claims),
        verdicts=tuple(
            dataclasses.replace(item, claim=of.id) for of, item in zip(claims, answers, strict=True)
        ),
    )
    for width in (60, 80, 160):
        lines = closed(record, width)
        assert len(lines) <= 24
        told = [line for line in lines if line.startswith("  ")]
        assert max(map(len, told)) <= width
        marks = [line[2] for line in told]
        assert marks == sorted(marks, key="✗?·".index)
        assert "  ✗ and 33 more" in lines


def test_a_document_is_called_by_its_language_and_first_heading() -> None:
    pages = [
        dataclasses.replace(GOOD, language="ja", heading="リリース"),
        dataclasses.replace(TWIN, language="../xx"),
    ]
    record = dataclasses.replace(mixed_record(), claims=(*pages, BAD, OPEN))
    titles = {"a.md": "日本語, “リリース”", "b.md": "../xx, “Capabilities”"}
    assert document_titles(record) == titles
    assert "document a.md: 日本語, “リリース”" in printed(record)


def test_an_interrupted_run_says_so() -> None:
    assert "(interrupted)" in printed(mixed_record(interrupted=True))


def test_gaps_count_claims_and_name_a_cell_to_try() -> None:
    of = plan([GOOD, BAD, OPEN], [part(GOOD), part(BAD)])
    known = FindingTable([finding(MINIMUM, Reason.CRASHED), finding(CONTROL, Observed.PRESENT)])
    found = reason_summaries(Record.of(of, (), judge(of, known), SNAPSHOT, 1.0))
    assert [(gap.reason, gap.claims, gap.cell) for gap in found] == [
        (Reason.CRASHED, 2, MINIMUM),
        (Reason.NO_PROBE, 1, ""),
    ]


def test_cell_counts_name_failures() -> None:
    cells = (
        stored_cell(MINIMUM),
        stored_cell(BEFORE, Reason.CRASHED),
        stored_cell(CONTROL, reused=True),
    )
    assert (
        cell_counts(dataclasses.replace(mixed_record(), cells=cells))
        == "2 run, 1 reused, 1 crashed"
    )


def test_the_json_is_what_its_schema_says_and_holds_every_claim() -> None:
    schema = json.loads((data_dir() / "schemas" / "verdicts.schema.json").read_text("utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    cells = (*mixed_record().cells, stored_cell(CONTROL, Reason.BUILD_FAILED))
    data = record_to_json(dataclasses.replace(mixed_record(), cells=cells).dated("2026-11-20"))
    again = json.loads(json.dumps(data))
    validator.validate(again)
    assert [item["claim"] for item in again["verdicts"]] == [item["id"] for item in again["claims"]]
    assert again["cells"][-1]["outcome"] == "failed"
    for item in again["verdicts"]:
        assert {"claim", "outcome", "tightness", "reason", "cells", "evidence"} <= set(item)
    broken = json.loads(json.dumps(data))
    broken["verdicts"][0]["reason"] = None
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(broken)


def test_json_goes_where_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = record_to_json(mixed_record().dated("today"))
    write_text_json(tmp_path / "out.json", data)
    write_text_json(Path("-"), data)
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "out.json").read_text())
    with pytest.raises(StorageError):
        write_text_json(tmp_path / "none" / "out.json", data)


def with_outcomes(*outcomes: Outcome, interrupted: bool = False) -> Record:
    verdicts = tuple(
        dataclasses.replace(mixed_record().verdicts[0], outcome=outcome) for outcome in outcomes
    )
    return dataclasses.replace(mixed_record(interrupted=interrupted), verdicts=verdicts)


@pytest.mark.parametrize(
    ("outcomes", "strict", "interrupted", "code"),
    [
        ([Outcome.CONFIRMED], True, False, ExitCode.OK),
        ([Outcome.CONFIRMED, Outcome.UNVERIFIED], False, False, ExitCode.OK),
        ([Outcome.CONFIRMED, Outcome.UNVERIFIED], True, False, ExitCode.UNVERIFIED),
        ([Outcome.UNVERIFIED, Outcome.REFUTED], True, False, ExitCode.REFUTED),
        ([Outcome.CONFIRMED, Outcome.REFUTED], False, False, ExitCode.REFUTED),
        ([Outcome.REFUTED], False, True, ExitCode.INTERRUPTED),
    ],
)
def test_exit_codes(
    outcomes: list[Outcome], *, strict: bool, interrupted: bool, code: ExitCode
) -> None:
    assert exit_code(with_outcomes(*outcomes, interrupted=interrupted), strict=strict) == code


def events() -> Iterable[Event]:
    of = mixed_plan()
    verdicts = {item.claim: item for item in mixed_record().verdicts}
    yield RunStarted(of, 2)
    yield VerdictReached(verdicts[OPEN.id])
    yield CellFinished(MINIMUM, None, "", 2.0, reused=True)
    yield CellStarted(BEFORE)
    yield CellStarted(CONTROL)
    yield CellFinished(BEFORE, Reason.CRASHED, "signal 11", 4.0, reused=False)
    yield VerdictReached(verdicts[GOOD.id])
    yield VerdictReached(verdicts[TWIN.id])
    yield ControlAdded(CONTROL, BAD.id)
    yield WarningRaised("the disk is full")


def test_the_tally_follows_the_run() -> None:
    tally = RunCounts()
    for event in events():
        tally.take(event)
    assert (tally.total, tally.done, tally.reused) == (4, 2, 1)
    assert list(tally.running) == [CONTROL]
    # Two cells left, four seconds each as the one that ran, two at a time.
    assert tally.seconds_left == pytest.approx(4.0)
    assert "2 of 4 cells done, 1 reused, 1 cell running, about 4 s left" in tally.line
    assert "2 confirmed" in tally.line
    assert "unverified" not in tally.line, "nothing was asked there"


def test_the_line_says_what_is_going_on_and_when_the_first_verdict_comes() -> None:
    tally = RunCounts()
    tally.take(RunStarted(mixed_plan(), 1))
    tally.take(EnvironmentRequested(BEFORE))
    tally.take(EnvironmentRequested(CONTROL))
    assert tally.line == "0 of 3 cells done, building 2 environments"
    tally.take(EnvironmentReady(BEFORE, 1.0))
    tally.take(CellStarted(BEFORE))
    assert tally.line == "0 of 3 cells done, building 1 environment, 1 cell running"
    tally.take(EnvironmentFailed(CONTROL, Reason.BUILD_FAILED, "no compiler"))
    tally.take(CellFinished(BEFORE, None, "", 20.0, reused=False))
    # The minimum, the release before and the control are all cells of the first claim.
    assert tally.line == ("1 of 3 cells done, first verdict in about 40 s, about 40 s left")
    tally.take(VerdictReached(mixed_record().verdicts[1]))
    assert "first verdict" not in tally.line


def shown(environ: dict[str, str], *, terminal: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=terminal, color_system=None)
    with display(console, environ) as take:
        for event in events():
            take(event)
        take(RunFinished(interrupted=False))
    return out.getvalue()


def test_plain_lines_where_there_is_no_terminal() -> None:
    lines = shown({}).splitlines()
    assert lines[0].startswith("4 claims, 3 cells, profile documented")
    assert lines[1] == "1 of them is not asked in this profile: counted at the end"
    assert not any("platform-not-here" in line for line in lines)
    assert f"[1/3] {MINIMUM}: observed, reused" in lines
    assert f"[2/3] {BEFORE}: crashed, 4.0 s: signal 11" in lines
    (verdict,) = [line for line in lines if "confirmed (exact)" in line]
    assert "[a.md:1, b.md:77]" in verdict
    assert "warning: the disk is full" in lines
    assert not any("::group" in line for line in lines)


def test_a_refuted_line_tells_of_the_control() -> None:
    out = io.StringIO()
    (verdict,) = [item for item in mixed_record().verdicts if item.claim == BAD.id]
    with display(Console(file=out, width=120), {}) as take:
        take(RunStarted(mixed_plan(), 2))
        take(VerdictReached(verdict))
        take(RunFinished(interrupted=False))
    (line,) = [line for line in out.getvalue().splitlines() if "✗ refuted" in line]
    assert "[a.md:2]" in line
    assert "ddtrace 1.20.0 in the same environment" in line


def test_cells_are_folded_on_github_and_verdicts_are_not() -> None:
    depth = 0
    for line in shown({"GITHUB_ACTIONS": "true"}).splitlines():
        if line.startswith("::group::"):
            depth += 1
        elif line == "::endgroup::":
            depth -= 1
        elif line.startswith("[1/3]"):
            assert depth == 1
        elif "confirmed (exact)" in line or "warning" in line:
            assert depth == 0
        assert depth in {0, 1}
    assert depth == 0


def test_a_terminal_shows_verdicts_and_failures_above_a_bar() -> None:
    text = shown({}, terminal=True)
    assert "✓ confirmed (exact)" in text
    assert "crashed" in text
    assert "of 4 cells" in text


def test_markup_in_evidence_is_shown_as_it_is() -> None:
    odd: Claim = dataclasses.replace(GOOD, subject="[bold]x[/]")
    of = plan([odd], [part(odd)])
    verdicts = judge(of, FindingTable([finding(MINIMUM, Observed.PRESENT)]))
    assert "[bold]x[/]" in printed(Record.of(of, (), verdicts, SNAPSHOT, 1.0))
