"""Whatever text a record has: no report hides a character, commands a CI service, or grows."""

from __future__ import annotations

import base64
import dataclasses
import enum
import io
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from helpers.record_fixture import mixed_record
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from matrix.model.cell import Cell
from matrix.model.claim import Claim
from matrix.model.fact import Fact, FactKind, fact, text_facts
from matrix.model.plan import Omission
from matrix.model.reason import Reason
from matrix.reporting.diff import compare_records, print_changes
from matrix.reporting.html import MAX_PAGE_BYTES, render_page
from matrix.reporting.json import json_text, record_to_json
from matrix.reporting.junit import MAX_JUNIT_BYTES, junit_xml
from matrix.reporting.markdown import COMMENT_BYTES, render_markdown
from matrix.reporting.progress import display
from matrix.reporting.terminal import print_report, render_svg
from matrix.runs import events
from matrix.runs.record import Record
from matrix.system.visible import harmless

# Fields that are no free text: ids by which a record is joined, times, digests.
_FIXED = {"id", "claim", "started", "snapshot", "sha256", "key", "probe", "channel", "probes"}
HIDDEN = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
EVIL = (
    "\n::error::x ##[add-mask]confirmed \x1b[2K\x9b \u202egnp\u2066\u200b\u200e\u2028::warning::y"
)
HOSTILE = st.lists(
    st.sampled_from(
        ["::", "##[", "\n", " ", "\x1b", "\x85", "\u202e", "\u2069", "\u200f", "ab", "|"]
    )
).map("".join)


def infected(value: Any, text: str) -> Any:  # noqa: ANN401 - any value of a record
    """Return the value with the text in place of each free text, and of each fact, in it."""
    if isinstance(value, Fact):
        return fact(FactKind.TEXT, text=text)
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        return text
    if isinstance(value, tuple):
        return tuple(infected(item, text) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, (type, Cell)):
        return dataclasses.replace(
            value,
            **{
                field.name: infected(getattr(value, field.name), text)
                for field in dataclasses.fields(value)
                if field.name not in _FIXED and field.init
            },
        )
    return value


def evil_record(text: str) -> Record:
    record: Record = infected(mixed_record(interrupted=True, warnings=("warned",)), text)
    return record


def outputs(record: Record) -> Iterator[tuple[str, str]]:
    """Yield each form of a record, by name, as it reaches a reader."""
    for width in (60, 140):
        out = io.StringIO()
        print_report(Console(file=out, width=width), record)
        # What a console has written goes through the stream of the command.
        yield f"terminal of {width}", harmless(out.getvalue())
        assert not HIDDEN.search(out.getvalue())
    out = io.StringIO()
    print_changes(Console(file=out, width=80), compare_records(mixed_record(), record))
    yield "diff", harmless(out.getvalue())
    yield "JSON", json_text(record_to_json(record))
    yield "HTML", render_page(record, lambda _cell: {"detail": record.run.profile, "asked": {}})
    yield "JUnit", junit_xml(record)
    yield "Markdown", render_markdown(record, compare_records(mixed_record(), record))
    yield "SVG", render_svg(record)


def check_outputs(text: str) -> None:
    for name, made in outputs(evil_record(text)):
        assert not (found := HIDDEN.search(made)), f"{found} in {name}"
        assert not [line for line in made.split("\n") if line.lstrip().startswith("::")], name
        assert "##[" not in made, name


def test_hostile_text_is_visible_and_powerless_everywhere() -> None:
    check_outputs(EVIL)


@settings(max_examples=15)
@given(HOSTILE)
def test_arbitrary_text_is_visible_and_powerless_everywhere(text: str) -> None:
    check_outputs(text)


def test_the_packed_evidence_of_a_page_is_visible() -> None:
    page = render_page(evil_record(EVIL), lambda _cell: None)
    (packed,) = re.findall(r'id="evidence">([^<]*)<', page)
    assert HIDDEN.search(zlib.decompress(base64.b64decode(packed)).decode()) is None


def test_the_progress_of_a_run_is_visible_but_folds_are_obeyed() -> None:
    out = io.StringIO()
    with display(Console(file=out, width=100), {"GITHUB_ACTIONS": "true"}) as emit:
        emit(events.Message(EVIL))
        emit(events.WarningRaised(EVIL))
    assert HIDDEN.search(out.getvalue()) is None
    assert [line for line in out.getvalue().split("\n") if line.startswith("::group::")]


def with_texts(record: Record, text: str, *, claims: int = 1) -> Record:
    """Return a record with more claims, each with a verdict and an omission of this text."""
    first = record.verdicts[0]
    more: list[Claim] = [
        dataclasses.replace(record.claim_by_id[first.claim], id=f"x/{number}", heading=text)
        for number in range(claims)
    ]
    verdicts = [dataclasses.replace(first, claim=of.id, facts=text_facts(text)) for of in more]
    omissions = [Omission(of.id, text, Reason.NO_WHEEL, text) for of in more]
    return dataclasses.replace(
        record,
        claims=(*record.claims, *more),
        verdicts=(*record.verdicts, *verdicts),
        omissions=(*record.omissions, *omissions),
    )


@pytest.mark.parametrize(("length", "claims"), [(2_000_000, 1), (3_000, 500)])
def test_large_texts_make_no_large_reports(length: int, claims: int) -> None:
    record = with_texts(mixed_record(), "<&é " * (length // 4), claims=claims)
    assert len(render_page(record, _no_capture).encode()) <= MAX_PAGE_BYTES
    assert len(junit_xml(record).encode()) <= MAX_JUNIT_BYTES
    assert len(render_markdown(record, most=COMMENT_BYTES).encode()) <= COMMENT_BYTES


def _no_capture(_cell: object) -> Mapping[str, Any] | None:
    return None


def test_a_normal_page_keeps_its_evidence() -> None:
    page = render_page(mixed_record(), _no_capture)
    assert "more, which did not fit" not in page
