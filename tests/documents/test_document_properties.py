"""Properties of reading any page: no traceback, no row lost, lines within the file."""

from __future__ import annotations

import string
import tempfile
from pathlib import Path

from helpers.claim_lines import DOCUMENTS
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.documents.document import ReadDocument, read_document
from matrix.documents.facts import dump_facts, load_facts
from matrix.errors import UserError
from matrix.model.claim import Claim

PAGES = sorted(DOCUMENTS.glob("*.md"))
LINES = [line for page in PAGES for line in page.read_text(encoding="utf-8").split("\n")]

headers = st.sampled_from(
    [
        ("ASM capability", "Minimum Python tracer version"),
        ("Type", "Threat Detection", "Software Composition Analysis"),
        ("Release", "Support level"),
        ("Framework", "Versions", "Threat Detection supported?"),
        ("Library", "Supported Version", "Automatic", "Documentation"),
        ("OS", "CPU", "Runtime", "Runtime version", "Supported ddtrace versions"),
    ]
)
words = st.sampled_from(
    [
        "Threat Detection", "Docker", "Django", "1.8", ">=1.0,<2", "2.7, 3.5-3.7", "yes", "no",
        "Linux", "x86-64, i686", "CPython", "Preview (>=2.1)", "Maintenance (until 2024)", "soon",
        "{{< X >}}", "[Redis][1] [redis-py-cluster][2]", "1.11, >= 4.0", "a<br/>b", "**bold**",
    ]
)  # fmt: skip
plain_words = st.text(string.ascii_letters + string.digits + " .,<>=()", min_size=1, max_size=12)
cells = st.one_of(words, plain_words.map(str.strip).filter(bool))


def read(text: str) -> ReadDocument | None:
    """Read a text; return None if it is not a document."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.md"
        page.write_bytes(text.encode())
        try:
            return read_document(page)
        except UserError:
            return None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=40))
def test_any_order_of_lines_is_read_or_refused(lines: list[str]) -> None:
    reading = read("\n".join(lines))
    if reading is not None:
        reported = [claim.line for claim in reading.claims]
        reported += [problem.line for problem in (*reading.problems, *reading.notices)]
        assert all(1 <= line <= len(lines) for line in reported)
        assert len({claim.id for claim in reading.claims}) == len(reading.claims)


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    read(text.encode(errors="ignore").decode())


@settings(max_examples=60, deadline=None)
@given(headers, st.data())
def test_every_row_is_a_claim_or_a_problem(header: tuple[str, ...], data: st.DataObject) -> None:
    width = len(header)
    rows = data.draw(st.lists(st.lists(cells, min_size=width, max_size=width), max_size=6))
    lines = ["## Page", "", "| " + " | ".join(header) + " |", "|" + "---|" * width]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    reading = read("\n".join(lines))
    if rows:
        assert reading is not None
        reported = {claim.line for claim in reading.claims}
        reported |= {problem.line for problem in reading.problems}
        assert reported >= set(range(5, 5 + len(rows)))


@settings(max_examples=5, deadline=None)
@given(st.lists(st.sampled_from(PAGES), max_size=3, unique=True))
def test_facts_round_trip(pages: list[Path]) -> None:
    claims = tuple(claim for page in pages for claim in _claims(page))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "claims.toml"
        file.write_text(dump_facts(claims), encoding="utf-8")
        assert load_facts(file) == claims


def _claims(page: Path) -> tuple[Claim, ...]:
    reading = read(page.read_text(encoding="utf-8"))
    return reading.claims if reading else ()
