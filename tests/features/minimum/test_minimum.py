"""Searches for a minimum: cells shared by channels, reused, stepped around, compared."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import jsonschema
from helpers.minimum_fixture import OTHER, Search, both, search_plan, since
from helpers.planning_fixture import claim
from helpers.run_fakes import CHANNEL, FakeEnvironments
from rich.console import Console

from matrix.errors import ExitCode
from matrix.features.minimum.conclusion import Agreement, conclude, exit_code_of
from matrix.features.minimum.observations import GapFound, RangeNarrowed
from matrix.features.minimum.report import (
    mark_lines,
    minimums_to_json,
    print_search_result,
    search_display,
)
from matrix.features.minimum.run import SearchResult
from matrix.model.claim import ClaimKind, Status
from matrix.model.reason import Reason
from matrix.system.paths import data_dir


def agreements(result: SearchResult, channel: str = CHANNEL) -> list[Agreement]:
    return [
        conclude(result.plan, result.results[channel], promise).agreement
        for promise in result.plan.promises
    ]


def text_of(result: SearchResult) -> str:
    console = Console(width=160, file=io.StringIO())
    print_search_result(console, result)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_channels_share_cells_and_have_an_answer_each(tmp_path: Path) -> None:
    search = Search(tmp_path, since("1.9.0", "1.20.0"))
    result = search.run(both())
    assert {name: x.observed for name, x in result.results.items()} == {
        CHANNEL: "1.9.0",
        OTHER: "1.20.0",
    }
    assert len(search.runner.ran) == len(set(search.runner.ran)) == len(result.records)
    for channel in result.results.values():
        assert len(channel.tried) == len(result.records)
    assert agreements(result) == [Agreement.SAME]
    assert agreements(result, OTHER) == [Agreement.LATER]
    assert exit_code_of([result]) is ExitCode.REFUTED


def test_a_second_search_runs_nothing_and_says_the_same(tmp_path: Path) -> None:
    first = Search(tmp_path, since("1.9.7")).run(both())
    again = Search(tmp_path, since("1.9.7"))
    second = again.run(both())
    assert again.runner.ran == []
    assert second.results == first.results
    assert all(record.reused for record in second.records)


def test_fresh_runs_all_again(tmp_path: Path) -> None:
    first = Search(tmp_path, since("1.9.7")).run(both())
    again = Search(tmp_path, since("1.9.7"))
    again.run(both(), fresh=True)
    assert len(again.runner.ran) == len(first.records)


def test_several_releases_run_at_a_time_and_the_answer_is_the_same(tmp_path: Path) -> None:
    one = Search(tmp_path / "one", since("1.9.7")).run(both())
    four = Search(tmp_path / "four", since("1.9.7"), jobs=4).run(both())
    assert one.results[CHANNEL].observed == four.results[CHANNEL].observed == "1.9.7"


def test_a_hole_is_found_and_reported(tmp_path: Path) -> None:
    works = since("1.8.3")
    search = Search(tmp_path, lambda x: ("F", "W") if x == "1.9.7" else works(x))
    result = search.run(both(), exhaustive=True)
    hole = result.results[CHANNEL].first_hole
    assert hole is not None
    assert (hole.first, hole.last, hole.exact, hole.closed) == ("1.9.7", "1.9.7", True, True)
    assert search.steps(GapFound)
    assert result.results[OTHER].first_hole is None
    assert agreements(result) == [Agreement.EARLIER]


def test_a_channel_that_no_promise_is_about_is_compared_with_none(tmp_path: Path) -> None:
    plan = dataclasses.replace(both(), unpromised=(OTHER,))
    result = Search(tmp_path, since("1.9.0", "1.20.0")).run(plan)
    assert exit_code_of([result]) is ExitCode.OK
    assert "no document promises it" in text_of(result)
    (search,) = minimums_to_json([result])["searches"]
    assert [len(each["promises"]) for each in search["channels"]] == [1, 0]


def test_a_documented_minimum_in_a_hole_is_refuted(tmp_path: Path) -> None:
    result = Search(tmp_path, lambda x: ("F", "W") if x == "1.9.0" else ("W", "W")).run(both())
    assert result.results[CHANNEL].observed == "0.61.4"
    assert agreements(result) == [Agreement.LATER]


def test_what_cannot_start_is_neither_yes_nor_no_and_is_stepped_around(tmp_path: Path) -> None:
    works = since("1.9.7")

    def answers(release: str) -> tuple[str | Reason, str | Reason]:
        if release in ("1.9.0", "3.0.0"):
            return Reason.BROKEN_START, Reason.BROKEN_START
        return works(release)

    result = Search(tmp_path, answers).run(both())
    found = result.results[CHANNEL]
    assert found.observed == "1.9.7"
    assert not found.exact
    assert {
        x.release: x.reply.reason.partition(":")[0]
        for x in found.tried
        if x.reply.answer.value == "cannot-tell"
    } == {"1.9.0": "broken-start", "3.0.0": "broken-start"}
    # 1.9.0 itself cannot tell, so the document is not refuted by what works later.
    assert agreements(result) == [Agreement.OPEN]
    assert exit_code_of([result]) is ExitCode.UNVERIFIED


def test_an_environment_that_cannot_be_built_is_a_reason(tmp_path: Path) -> None:
    plan = both()
    broken = {plan.cells["1.9.0"].cell.id: Reason.BUILD_FAILED}
    result = Search(tmp_path, since("1.8.0"), environments=FakeEnvironments(broken)).run(plan)
    tried = {each.release: each.reply for each in result.results[CHANNEL].tried}
    assert tried["1.9.0"].reason.startswith("build-failed: ")
    assert result.results[CHANNEL].observed == "1.8.0"


def test_nothing_works_is_no_refutation(tmp_path: Path) -> None:
    result = Search(tmp_path, lambda _: ("F", "F")).run(both())
    assert result.results[CHANNEL].observed is None
    assert agreements(result) == [Agreement.OPEN]
    assert exit_code_of([result]) is ExitCode.UNVERIFIED


def test_what_stopped_working_before_the_documented_minimum_has_no_control(tmp_path: Path) -> None:
    before = since("1.9.0")
    result = Search(tmp_path, lambda x: ("W" if before(x)[0] == "F" else "F", "W")).run(both())
    assert result.results[CHANNEL].observed == "0.61.4"
    assert agreements(result) == [Agreement.OPEN]


def test_releases_from_the_documented_one_on_that_cannot_tell_leave_the_promise_open(
    tmp_path: Path,
) -> None:
    before = since("1.9.0")

    def answers(release: str) -> tuple[str | Reason, str | Reason]:
        return ("W", "W") if before(release)[0] == "F" else (Reason.BROKEN_START, Reason.CRASHED)

    result = Search(tmp_path, answers).run(both())
    assert result.results[CHANNEL].observed == "0.61.4"
    assert agreements(result) == [Agreement.OPEN]
    assert exit_code_of([result]) is ExitCode.UNVERIFIED


def test_the_first_release_searched_is_not_the_first_there_is(tmp_path: Path) -> None:
    result = Search(tmp_path, since("1.8.0")).run(both(since="1.8.3")).results[CHANNEL]
    assert (result.observed, result.exact) == ("1.8.3", False)
    assert "were not searched" in result.assumptions[-1]


def test_a_documented_minimum_without_a_wheel_begins_with_the_first_that_has_one(
    tmp_path: Path,
) -> None:
    result = Search(tmp_path, lambda _: ("W", "W")).run(both(python="3.12"))
    assert result.results[CHANNEL].observed == "2.0.0"
    assert "2.0.0, the first there is here" in text_of(result)
    assert agreements(result) == [Agreement.SAME]
    assert exit_code_of([result]) is ExitCode.OK


def test_without_a_document_any_minimum_is_fine(tmp_path: Path) -> None:
    claims = [claim(ClaimKind.CAPABILITY, "threat-detection", status=Status.PREVIEW)]
    plan = search_plan(claims=claims, framework="django", python="3.9")
    assert plan.documented is None
    result = Search(tmp_path, since("1.9.0")).run(plan)
    assert exit_code_of([result]) is ExitCode.OK


def test_a_search_that_is_stopped_keeps_what_is_done_and_goes_on_from_there(tmp_path: Path) -> None:
    stopped = Search(tmp_path, since("1.9.7"), stop_after=3)
    result = stopped.run(both())
    assert result.interrupted
    assert exit_code_of([result]) is ExitCode.INTERRUPTED
    done = set(stopped.runner.ran)
    assert 3 <= len(done) < len(both().cells)
    again = Search(tmp_path, since("1.9.7"))
    assert again.run(both()).results[CHANNEL].observed == "1.9.7"
    assert not done & set(again.runner.ran)


# --- reports


def test_the_json_is_what_its_schema_says(tmp_path: Path) -> None:
    works = since("1.9.7", "1.20.0")
    result = Search(tmp_path, lambda x: (Reason.CRASHED,) * 2 if x == "1.9.0" else works(x)).run(
        both(since="1.8.0")
    )
    data = minimums_to_json([result])
    schema = json.loads((data_dir() / "schemas" / "minimum.schema.json").read_text("utf-8"))
    jsonschema.validate(data, schema)
    (search,) = data["searches"]
    assert search["channels"][1]["observed"] == "1.20.0"
    assert search["channels"][1]["promises"][0]["answer"] == "later"
    cells = {each["id"] for each in search["cells"]}
    assert {x["cell"] for x in search["channels"][0]["tried"]} == cells


def test_the_strip_has_a_mark_for_each_release_in_order(tmp_path: Path) -> None:
    works = since("1.9.7")
    result = Search(tmp_path, lambda x: (Reason.CRASHED,) * 2 if x == "1.20.0" else works(x)).run(
        both(), exhaustive=True
    )
    (line,) = mark_lines(result.results[CHANNEL])
    first, marks, last = line.plain.split()
    assert (first, last) == ("0.61.4", "3.0.0")
    assert marks == "".join(
        "?" if x == "1.20.0" else "#" if works(x)[0] == "W" else "-" for x in both().cells
    )


def test_the_report_says_it_all(tmp_path: Path) -> None:
    result = Search(tmp_path, since("1.9.7", "1.20.0")).run(both())
    text = text_of(result)
    for words in (
        "capability threat-detection on django 4.1.7, CPython 3.9, linux_x86_64",
        "1.9.0 (page.md:1)",
        "later than documented: 1.9.0 fails, and 1.9.7 works",
        "# works",
        "note: every release is tested on django 4.1.7",
        f"{len(result.plan.releases)} final releases of ddtrace in all",
    ):
        assert words in text


def test_progress_is_reported_as_it_happens(tmp_path: Path) -> None:
    search = Search(tmp_path, since("1.9.7"))
    search.run(both())
    path = tmp_path / "progress"
    with path.open("w") as file, search_display(Console(file=file, width=200)) as emit:
        for event in search.events:
            emit(event)  # type: ignore[arg-type]
    text = path.read_text()
    assert "channels" in text
    assert f"{CHANNEL}: 1.9.7 works, 1.9.0 fails" in text
    assert text.count("observed, 3.0 s") == len(search.runner.ran)
    assert search.steps(RangeNarrowed)
