"""The findings of an audit on the page: ranges that the vendor tests, with their places."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.record_fixture import mixed_record, record_store

from matrix.__main__ import main
from matrix.errors import UnreadableInputError
from matrix.reporting.html import MAX_PAGE_BYTES, render_page
from matrix.reporting.html_audit import AuditPart, audit_parts, read_audit

EVIL = "<script>alert(1)</script> \u202e"


def place(line: int = 9, says: str = ">=2.6, supported") -> dict[str, Any]:
    return {"document": "page", "line": line, "says": says, "claim": "page/integration/redis"}


def audited(says: str = "2.6 to before 3.5.3 by nobody", count: int = 1) -> dict[str, Any]:
    finding = {
        "title": "promise partly untested", "kind": "promise-partly-untested",
        "subject": f"integration/{says}", "says": says, "places": [place(), place(12, says)],
        "stale": [place()], "reason": says, "contradicts": True,
    }  # fmt: skip
    row = {
        "subject": says, "specifier": ">=2.6", "documents": [says], "untested": [says],
        "tested": [{"minimum": "3.5.3", "maximum": "7.1.0", "pythons": ["3.9", "3.14"]}],
    }  # fmt: skip
    return {
        "schema": "audit/1",
        "parts": {
            "tested": {"findings": [finding] * count, "rows": [row] * count},
            "index": {"findings": [], "rows": [{"specifier": ">=1"}]},
        },
    }


def page(data: dict[str, Any], most: int = MAX_PAGE_BYTES) -> str:
    return render_page(mixed_record(), lambda _cell: None, audit=audit_parts(data), most=most)


def test_ranges_findings_and_places_are_on_the_page() -> None:
    text = page(audited())
    assert 'href="#audit"' in text
    assert "3.5.3 to 7.1.0 on CPython 3.9, 3.14" in text
    assert "2.6 to before 3.5.3 by nobody" in text
    assert "page:9 &gt;=2.6, supported (likely out of date)" in text
    assert "page:12 2.6 to before 3.5.3 by nobody<" in text
    assert "1 finding, 1 against a promise" in text


def test_a_page_without_an_audit_has_no_such_section() -> None:
    assert 'id="audit"' not in render_page(mixed_record(), lambda _cell: None)
    assert audit_parts({"schema": "audit/1", "parts": {}}) == ()


def test_no_text_of_a_finding_is_markup() -> None:
    text = page(audited(EVIL))
    assert EVIL not in text
    assert "<script>alert" not in text
    assert "\u202e" not in text
    assert text.count("&lt;script&gt;alert(1)") >= 7


def test_a_large_audit_is_cut_and_the_rest_counted() -> None:
    text = page(audited("x" * 200, 5000), most=400_000)
    assert len(text.encode()) <= 400_000
    assert "more, which did not fit on this page" in text
    many = audited()
    many["parts"]["tested"]["findings"][0]["places"] = [place(line) for line in range(1, 31)]
    assert "and 10 places more" in page(many)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"schema": "verdicts/1"}', '{"schema": "audit/1", "parts": {"x": {}}}']
)
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UnreadableInputError):
        read_audit(path)


def test_the_output_of_audit_is_shown_by_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPAT_MATRIX_RESULTS", str(tmp_path))
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(tmp_path / "cache"))
    record_store(tmp_path, 1)
    document, registry = tmp_path / "page.md", tmp_path / "registry.csv"
    document.write_text(
        "### Libraries\n\n| Library | Versions | Automatic |\n|---|---|---|\n| rq | 1.0+ | no |\n",
        encoding="utf-8",
    )
    registry.write_text(
        "dependency,integration,minimum,maximum,auto-instrumented\nrq,rq,1.8.1,2.10.0,True\n",
        encoding="utf-8",
    )
    file, html = tmp_path / "audit.json", tmp_path / "page.html"
    main(["audit", str(document), str(registry), "--part", "tested", "--json", str(file)])
    assert json.loads(file.read_text(encoding="utf-8"))["schema"] == "audit/1"
    assert main(["report", "--audit", str(file), "--html", str(html)]) == 0
    text = html.read_text(encoding="utf-8")
    assert "page:5 automatic no" in text
    assert "1.0 to before 1.8.1" in text


def test_a_part_keeps_the_first_of_each_and_counts_the_rest() -> None:
    (part,) = audit_parts(audited(count=3))
    assert part.first(None) == part
    assert part.first(2) == AuditPart("tested", part.rows[:2], part.notes[:2], 2)
