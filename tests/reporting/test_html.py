"""The page: counts, the map, evidence that cannot become markup, and its size."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
import zlib
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from helpers.record_fixture import (
    CONFIRMED,
    CRASHED,
    NASTY,
    REFUTED,
    cell_record,
    generated_record,
    part_verdict,
    record_of,
    record_of_verdicts,
    verdict_on,
)
from helpers.run_fakes import MINIMUM, capture, cell, claim, failed, process
from hypothesis import example, given, settings
from hypothesis import strategies as st

from matrix.errors import UnreadableInputError
from matrix.model.fact import text_facts
from matrix.model.reason import Reason
from matrix.model.verdict import Observed, Outcome, Tightness
from matrix.reporting.diff import compare_records
from matrix.reporting.html import MAX_PAGE_BYTES, render_page
from matrix.reporting.html_charts import (
    build_heat_map,
    pool_values,
    read_searches,
    search_strips,
    verdict_strips,
)
from matrix.reporting.html_evidence import digest_capture
from matrix.runs.record import CellRecord


def unpool_values(pool: list[Any]) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value that was pooled, as `report.js` does."""
    values: list[Any] = []
    for entry in pool:
        if isinstance(entry, dict):
            values.append({name: values[index] for name, index in entry.items()})
        elif isinstance(entry, list):
            values.append([values[index] for index in entry])
        else:
            values.append(entry)
    return values[-1]


def unpacked(text: str) -> dict[str, Any]:
    found = re.search(r'id="evidence">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = unpool_values(json.loads(zlib.decompress(base64.b64decode(found[1]))))
    return data


def nothing(_cell: CellRecord) -> None:
    return None


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_first_thing_said_is_how_many_promises_hold() -> None:
    made = record_of((claim(1), CONFIRMED), (claim(2), REFUTED), (claim(3), CRASHED))
    text = render_page(made, nothing)
    assert "<h1>1 of 2 promises asked holds, <em>1 does not</em></h1>" in text
    assert '<p class="lead">1 was not asked in this run.' in text
    assert "<b>1</b> confirmed" in text
    assert "<b>0</b> could not be checked" in text


def test_a_square_is_as_bad_as_its_worst_part_and_only_where_a_part_was_asked() -> None:
    other = cell("1.9.0", "3.11").id
    parts = (part_verdict(MINIMUM), part_verdict(MINIMUM, Outcome.REFUTED), part_verdict(other))
    heat = build_heat_map(
        record_of_verdicts((claim(), verdict_on(claim(), Outcome.REFUTED, *parts)))
    )
    assert heat.pythons == ("3.9", "3.11")
    (line,) = heat.lines
    (bad,), (good,) = line.squares["3.9"], line.squares["3.11"]
    assert (bad.outcome, bad.parts, bad.same) == (Outcome.REFUTED, 2, 1)
    assert good.outcome is Outcome.CONFIRMED


def test_what_is_refuted_stands_first_and_what_was_not_run_last() -> None:
    pairs = (
        (claim(1), verdict_on(claim(1), Outcome.UNVERIFIED)),
        (
            claim(2),
            verdict_on(claim(2), Outcome.UNVERIFIED, part_verdict(MINIMUM, Outcome.UNVERIFIED)),
        ),
        (claim(3), verdict_on(claim(3), Outcome.CONFIRMED, part_verdict(MINIMUM))),
        (claim(4), verdict_on(claim(4), Outcome.REFUTED, part_verdict(MINIMUM, Outcome.REFUTED))),
    )
    groups = [line.group for line in build_heat_map(record_of_verdicts(*pairs)).lines]
    assert groups == ["refuted", "confirmed", "unverified", "not-run"]


def test_a_promise_of_two_documents_with_one_answer_is_one_line_with_both_places() -> None:
    twin = dataclasses.replace(claim(), id="b.md/x", document="b.md", line=77)
    made = record_of_verdicts(
        (claim(), verdict_on(claim(), Outcome.CONFIRMED, part_verdict(MINIMUM))),
        (twin, verdict_on(twin, Outcome.CONFIRMED, part_verdict(MINIMUM))),
    )
    (line,) = build_heat_map(made).lines
    assert [each.document for each in line.claims] == ["a.md", "b.md"]
    stands = unpacked(render_page(made, nothing))["lines"][0]["stands"]
    assert [(each["document"], each["line"]) for each in stands] == [("a.md", 1), ("b.md", 77)]


@settings(max_examples=20, deadline=None)
@example(NASTY)
@given(st.text())
def test_nothing_that_was_said_becomes_markup(words: str) -> None:
    of = dataclasses.replace(claim(), heading=words, document=words, subject=words)
    refuted = verdict_on(of, Outcome.REFUTED, part_verdict(MINIMUM, Outcome.REFUTED))
    refuted = dataclasses.replace(refuted, facts=text_facts(words), remarks=text_facts(words))
    made = record_of_verdicts((of, refuted))
    plain = claim()
    like = record_of_verdicts(
        (plain, verdict_on(plain, Outcome.REFUTED, part_verdict(MINIMUM, Outcome.REFUTED)))
    )
    ours = render_page(made, lambda _: digest_capture(capture(MINIMUM, body=words)))
    theirs = render_page(like, lambda _: digest_capture(capture(MINIMUM, body="x")))
    assert [tag for tag, _ in Tags(ours).tags] == [tag for tag, _ in Tags(theirs).tags]
    assert len(re.findall("</script", ours, re.IGNORECASE)) == 2


def test_the_policy_allows_our_script_and_style_and_nothing_else() -> None:
    text = render_page(record_of((claim(), CONFIRMED)), nothing)
    metas = [given for tag, given in Tags(text).tags if "http-equiv" in given]
    policy = metas[0]["content"] or ""
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for pattern in (r"<style>(.*?)</style>", r"<script>(.*?)</script>"):
        (inside,) = re.findall(pattern, text, re.DOTALL)
        made = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"'sha256-{made}'" in policy
    for _, has in Tags(text).tags:
        assert not {"style", "onclick", "src"} & has.keys()
        assert (has.get("href") or "#").startswith(("#", "data:,"))


def test_two_thousand_cells_fit_with_all_that_was_seen() -> None:
    digest = digest_capture(capture(MINIMUM, body="x" * 5000))
    made = generated_record(2000)
    assert len(made.cells) == 2000
    text = render_page(
        made, lambda one: {**digest, "detail": hashlib.sha256(one.id.encode()).hexdigest()}
    )
    assert len(text.encode()) < MAX_PAGE_BYTES
    assert all(each["seen"] for each in unpacked(text)["cells"])


def test_what_does_not_fit_is_left_out_of_the_confirmed_first_and_said_so() -> None:
    noise = {
        one.id: hashlib.sha512(one.id.encode()).hexdigest() * 4
        for one in generated_record(200).cells
    }
    made = generated_record(200)
    small = len(render_page(made, nothing).encode())
    text = render_page(
        made,
        lambda one: {**digest_capture(capture(one.id)), "detail": noise[one.id]},
        most=small + 18_000,
    )
    assert len(text.encode()) <= small + 18_000
    data = unpacked(text)
    with_capture = {each["id"] for each in data["cells"] if each["seen"]}
    assert 0 < len(with_capture) < 200
    refuted = {
        data["cells"][one["cells"][0]]["id"]
        for line in data["lines"] for one in line["parts"] if one["outcome"] == "refuted"
    }  # fmt: skip
    assert refuted <= with_capture
    assert "did not fit on this page" in text


def test_what_was_not_captured_is_said_to_be_missing() -> None:
    text = render_page(
        record_of_verdicts(
            (claim(), verdict_on(claim(), Outcome.CONFIRMED, part_verdict(MINIMUM)))
        ),
        nothing,
    )
    (one,) = unpacked(text)["cells"]
    assert one["seen"] is None
    assert one["unseen"].startswith("No capture")
    assert one["command"] == f"python -m matrix reproduce {MINIMUM}"


def test_a_digest_has_what_was_sent_what_came_and_the_span() -> None:
    exchanges = digest_capture(capture(MINIMUM))["asked"]["threat-detection/static"]
    with_it, without = exchanges
    assert with_it["sent"].startswith("GET /s…/")
    assert (with_it["came"], with_it["answer"], with_it["control"]) == (
        "HTTP 200",
        "blocked",
        False,
    )
    assert with_it["spans"][0]["name"] == "django.request"
    assert ["http.method", "GET"] in with_it["spans"][0]["tags"]
    assert (without["answer"], without["control"]) == ("fine", True)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.sampled_from(["a", "\N{SNOWMAN}"]))
def test_a_digest_is_small_whatever_was_captured(repeats: int, letter: str) -> None:
    processes = [
        process("appsec", letter * 100_000, "1.9.0", number, log=letter * 100_000, exit_code=1)
        for number in range(repeats)
    ]
    size = len(
        json.dumps(digest_capture(capture(MINIMUM, processes=processes)), ensure_ascii=False)
    )
    assert size < 8000


def test_a_cell_that_failed_has_a_digest_too() -> None:
    made = digest_capture(failed(MINIMUM, Reason.BROKEN_START))
    assert (made["asked"], made["detail"]) == ({}, "it failed")


def test_a_strip_tells_the_releases_in_their_order_and_what_each_showed() -> None:
    old, low, high = (cell(version).id for version in ("1.8.0", "1.10.0", "1.20.0"))
    bad = dataclasses.replace(part_verdict(low, Outcome.REFUTED, high, old), tightness=None)
    made = record_of_verdicts((claim(), verdict_on(claim(), Outcome.REFUTED, bad)))
    lines = [
        cell_record(old, Observed.UNKNOWN), cell_record(low, Observed.ABSENT), cell_record(high)
    ]  # fmt: skip
    made = dataclasses.replace(made, cells=tuple(lines))
    (strip,) = verdict_strips(made, build_heat_map(made))
    answers = [(each.release, each.answer) for each in strip.tried]
    assert answers == [("1.8.0", "open"), ("1.10.0", "fails"), ("1.20.0", "works")]
    assert (strip.documented, strip.observed) == ("1.10.0", "1.20.0")
    assert 'aria-label="ddtrace: 1.8.0 cannot tell, 1.10.0 not shown, 1.20.0 shown"' in render_page(
        made, nothing
    )


def test_searches_are_shown_and_another_file_is_refused(tmp_path: Path) -> None:
    channel = {
        "name": "static", "documented": "1.9.0", "observed": "1.10.0", "promises": [],
        "tried": [
            {"release": "1.9.0", "answer": "fails"}, {"release": "1.10.0", "answer": "works"}
        ],
    }  # fmt: skip
    search = {
        "subject": "iast", "framework": None, "python": "3.9", "target": "linux_x86_64",
        "project": "ddtrace", "channels": [channel],
    }  # fmt: skip
    (strip,) = search_strips({"schema": "minimum/1", "searches": [search]})
    assert (strip.documented, strip.observed) == ("1.9.0", "1.10.0")
    text = render_page(record_of((claim(), CONFIRMED)), nothing, None, [strip])
    assert "ddtrace: 1.9.0 not shown, 1.10.0 shown" in text
    for wrong in ("{", '{"schema": "verdicts/1"}', "[]", '{"schema": "minimum/1"}'):
        (tmp_path / "x.json").write_text(wrong)
        with pytest.raises(UnreadableInputError):
            read_searches(tmp_path / "x.json")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside),
)


@given(JSON_VALUES)
def test_what_is_pooled_comes_out_as_it_was(value: object) -> None:
    read = unpool_values(json.loads(json.dumps(pool_values(value))))
    assert json.dumps(read) == json.dumps(value)


def test_what_changed_is_told() -> None:
    before, after = record_of((claim(), CONFIRMED)), record_of((claim(), REFUTED))
    text = render_page(after, nothing, compare_records(before, after))
    assert "<strong>1 worse</strong>" in text
    assert "confirmed → refuted" in text
    assert "Nothing changed: 1 promise" in render_page(
        after, nothing, compare_records(after, after)
    )


def test_a_run_that_was_stopped_says_so() -> None:
    made = record_of((claim(), CONFIRMED))
    stopped = dataclasses.replace(made, run=dataclasses.replace(made.run, interrupted=True))
    assert "did not come to its end" in render_page(stopped, nothing)
    assert "did not come to its end" not in render_page(made, nothing)


def test_a_tightness_that_is_off_gets_a_strip_and_an_exact_one_none() -> None:
    both = (cell("1.8.0").id, cell("1.9.0").id)
    for tightness, count in ((Tightness.EARLIER, 1), (Tightness.EXACT, 0)):
        one = dataclasses.replace(
            part_verdict(both[1], Outcome.CONFIRMED, both[0]), tightness=tightness
        )
        made = record_of_verdicts((claim(), verdict_on(claim(), Outcome.CONFIRMED, one)))
        assert len(verdict_strips(made, build_heat_map(made))) == count
