"""Claims as one line of text each, to compare many at once, and pages to read claims from."""

from __future__ import annotations

from pathlib import Path

from matrix.documents.document import ReadDocument, read_document
from matrix.model.claim import Claim
from matrix.system.paths import fixtures_dir

DOCUMENTS = fixtures_dir() / "documents"


def read_page(folder: Path, text: str, language: str | None = None) -> ReadDocument:
    """Write a text to `page.md` in a folder, and read it."""
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    return read_document(page, language=language)


def claim_lines(name: str, kind: str) -> list[str]:
    """Return the claims of one kind in a fixture document, which must have no problems."""
    reading = read_document(DOCUMENTS / f"{name}.md")
    assert reading.problems == ()
    return [claim_line(claim) for claim in reading.claims if claim.kind.value == kind]


def claim_line(claim: Claim) -> str:
    """Return a claim as `line subject specifier status scope`."""
    scope = [f"{key}={value}" for key, value in claim.scope]
    parts = [str(claim.line), claim.subject, claim.specifier, claim.status.value, *scope]
    return " ".join(part for part in parts if part)
