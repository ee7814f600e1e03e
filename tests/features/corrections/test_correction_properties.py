"""Property tests: in any table, a change has its intended effect and keeps every other byte."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import tempfile
from pathlib import Path

from helpers.corrections_fixture import World, applied, decided
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.features.corrections.basis import ObservedFindings
from matrix.features.corrections.edit import (
    Deletion,
    Insertion,
    Replacement,
    cell_spans,
    display_width,
    parse_file_text,
    refit_cell,
    unified_diff,
)
from matrix.model.cell import Cell
from matrix.model.claim import Status
from matrix.model.fact import text_facts
from matrix.model.verdict import Finding, Observed, Outcome, PartVerdict

NAMES = {
    "en": ["Threat Detection", "**Threat Protection**", "API Security", "SCA"],
    "ja": ["脅威検知", "脅威保護", "API セキュリティ", "ソフトウェア構成分析 (SCA)"],
    "ko": ["위협 탐지", "Threat Protection", "API Security", "소프트웨어 구성 분석(SCA)"],
}
HEADERS = {
    "en": ("Application Security capability", "Minimum Python tracer version", "Notes"),
    "ja": ("ASM の機能", "Python トレーサーの最小バージョン", "備考"),
    "ko": ("애플리케이션 보안 기능", "최소 Python 트레이서 버전", "참고"),
}
FORMS = ["{}", "`{}`", "v{}", ">= {}", "{}+", "**{}**"]
ASIDES = ["", "a \\| b", "説明", "설명", "see [x](https://x.example/a\\|b)", "..."]
versions = st.tuples(st.integers(1, 3), st.integers(0, 20), st.integers(0, 9)).map(
    lambda parts: ".".join(map(str, parts))
)
ends = st.sampled_from(["\n", "\r\n"])


@dataclasses.dataclass(frozen=True)
class Page:
    data: bytes
    language: str
    old: str
    row: int


@st.composite
def pages(draw: st.DrawFn) -> Page:
    """Return a page with one table of capabilities in some format, and one row of it."""
    language = draw(st.sampled_from(sorted(NAMES)))
    names = draw(st.lists(st.sampled_from(NAMES[language]), min_size=1, unique=True))
    minimums = [draw(versions) for _ in names]
    rows = [HEADERS[language], ("", "", "")]
    for name, version in zip(names, minimums, strict=True):
        form = draw(st.sampled_from(FORMS))
        rows.append((name, form.format(version), draw(st.sampled_from(ASIDES))))
    aligned, closed = draw(st.booleans()), draw(st.booleans())
    widths = [max(display_width(row[column]) for row in rows) for column in range(3)]
    lines = ["## Page", ""]
    for number, row in enumerate(rows):
        cells = ["---"] * 3 if number == 1 else list(row)
        if aligned:
            cells = [
                one + " " * (wide - display_width(one))
                for one, wide in zip(cells, widths, strict=True)
            ]
        elif number > 1:
            cells = [one + " " * draw(st.integers(0, 3)) for one in cells]
        lines.append("| " + " | ".join(cells) + (" |" if closed else ""))
    end = draw(ends)
    tail = draw(st.sampled_from(["", end, end + end + "Text  " + end, end + end + "Text"]))
    mark = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    number = draw(st.integers(0, len(names) - 1))
    return Page(mark + (end.join(lines) + tail).encode(), language, minimums[number], number)


def findings_for(old: str, new: str) -> ObservedFindings:
    cell = Cell("3.9", "linux_x86_64", "django", "3.2", old)
    later = dataclasses.replace(cell, ddtrace=new)
    shown = ((cell, Observed.ABSENT), (later, Observed.PRESENT))
    return ObservedFindings(
        [Finding(one, "p", "c", shows, text_facts("Seen.")) for one, shows in shown]
    )


def with_minimum_refuted(folder: Path, page: Page, new: str) -> World:
    """Return the page with one row's minimum refuted, and findings in which `new` works."""
    path = folder / f"{page.language}.md"
    path.write_bytes(page.data)
    world = decided([path], "/capability/")
    claims = sorted(world.case.claims, key=lambda claim: claim.line)
    wrong = claims[page.row]
    cells = tuple(one.cell for one in findings_for(page.old, new).findings)
    part = PartVerdict("p", "c", cells, Outcome.REFUTED, None, None, text_facts("Seen."))
    verdict = dataclasses.replace(world.case.verdicts[wrong.id], parts=(part,), cells=cells)
    case = dataclasses.replace(
        world.case, verdicts={wrong.id: verdict}, observed=findings_for(page.old, new)
    )
    return dataclasses.replace(world, case=case)


@settings(max_examples=30, deadline=None)
@given(pages(), st.sampled_from(["4.0.0", "11.20.19"]))
def test_one_version_is_changed_and_no_other_byte(page: Page, new: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world = with_minimum_refuted(folder, page, new)
        (suggestion,) = world.suggest()
        assert suggestion.error == ""
        assert len(suggestion.changes) == 1
        before, after = page.data.split(b"\n"), suggestion.data.split(b"\n")
        different = [number for number, line in enumerate(before) if line != after[number]]
        assert len(before) == len(after)
        assert different == [page.row + 4]
        old_line, new_line = before[page.row + 4].decode(), after[page.row + 4].decode()
        # But for the version itself, only padding of the same cell may differ.
        spaces = re.compile(r" +")
        assert spaces.sub(" ", old_line.replace(page.old, new)) == spaces.sub(" ", new_line)
        old_cells, new_cells = cell_spans(old_line), cell_spans(new_line)
        assert len(old_cells) == len(new_cells)
        for number in (0, 2):
            if number < len(old_cells):
                old_span, new_span = old_cells[number], new_cells[number]
                assert old_line[slice(*old_span)] == new_line[slice(*new_span)]
        assert applied(suggestion, folder / "applied").read_bytes() == suggestion.data


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from(["yes", "no", "{{< X >}}", ""]), min_size=4, max_size=4),
    st.booleans(),
    ends,
    st.integers(0, 3),
)
def test_a_reversed_cell_is_the_only_change(
    marks: list[str], aligned: bool, end: str, which: int
) -> None:
    cells = [mark.ljust(12) if aligned else mark for mark in marks]
    page = end.join(
        [
            "## Page",
            "",
            "| Type | Threat Detection | API Security |",
            "|---|---|---|",
            f"| Docker | {cells[0]} | {cells[1]} |",
            f"| AWS Lambda | {cells[2]} | {cells[3]} |",
        ]
    )
    ids = [
        f"deployment/{capability}/{kind}"
        for kind in ("docker", "aws-lambda")
        for capability in ("threat-detection", "api-security")
    ]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "page.md"
        path.write_bytes(page.encode())
        world = decided([path], ids[which])
        (suggestion,) = world.suggest()
        assert suggestion.error == ""
        wrong = next(one for one in world.case.claims if ids[which] in one.id)
        (change,) = suggestion.changes
        (added,) = change.added
        assert {wrong.status.value, added[3]} == {
            Status.SUPPORTED.value,
            Status.NOT_SUPPORTED.value,
        }
        assert suggestion.data.count(b"\r\n") == page.encode().count(b"\r\n")
        assert applied(suggestion, Path(name) / "applied").read_bytes() == suggestion.data


text = st.text(alphabet="ab |\u3042\uac00\u0301\t", max_size=12)
raw = st.lists(st.tuples(text, st.sampled_from(["\n", "\r\n", "\r"])), max_size=8)


@given(raw, text, st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe"]))
def test_an_unedited_file_keeps_every_byte(
    lines: list[tuple[str, str]], last: str, mark: bytes
) -> None:
    written = "".join(line + end for line, end in lines) + last
    codec = "utf-16-le" if mark == b"\xff\xfe" else "utf-8"
    data = mark + written.encode(codec)
    file = parse_file_text(data)
    assert file.data() == data
    assert file.with_edits(()).data() == data


@given(raw, text, st.data())
def test_edits_are_independent_of_each_other(
    lines: list[tuple[str, str]], last: str, data: st.DataObject
) -> None:
    file = parse_file_text(
        ("".join(line + end for line, end in [*lines, ("z", "\n")]) + last).encode()
    )
    number = data.draw(st.integers(1, len(file.lines)))
    edited = file.with_edits([Replacement(number, 0, 0, "new"), Insertion(number, "line")])
    assert edited.line(number) == "new" + file.line(number)
    assert edited.line(number + 1) == "line"
    assert len(edited.lines) == len(file.lines) + 1
    assert bool(edited.lines[-1][1]) == bool(file.lines[-1][1])
    assert parse_file_text(edited.data()) == edited
    restored = edited.with_edits([Deletion(number + 1, number + 1), Replacement(number, 0, 3, "")])
    assert [line for line, _ in restored.lines] == [line for line, _ in file.lines]


@settings(max_examples=60, deadline=None)
@given(raw, text, raw, text)
def test_git_applies_the_diff(
    old: list[tuple[str, str]], old_last: str, new: list[tuple[str, str]], new_last: str
) -> None:
    before = ("first\n" + "".join(line + end for line, end in old) + old_last).encode()
    after = ("first\n" + "".join(line + end for line, end in new) + new_last).encode()
    if before == after:
        assert unified_diff(before, after, "a b.md") == b""
        return
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "a b.md"
        file.write_bytes(before)
        subprocess.run(
            ["git", "-c", "core.autocrlf=false", "apply", "-p0", "--whitespace=nowarn", "-"],  # noqa: S607
            input=unified_diff(before, after, "a b.md"),
            cwd=name,
            check=True,
            env={"PATH": os.environ["PATH"]},
        )
        assert file.read_bytes() == after


@given(text, text, st.booleans())
def test_a_cell_keeps_the_width_of_its_column(cell: str, new: str, aligned: bool) -> None:
    new = new.replace("|", "").strip()
    refitted = refit_cell(
        cell, new, [" " * display_width(cell)] if aligned else ["x" * (display_width(cell) + 1)]
    )
    assert refitted.strip() == new
    if aligned and display_width(new) <= display_width(cell.strip()) and cell.strip():
        assert display_width(refitted) == display_width(cell)
