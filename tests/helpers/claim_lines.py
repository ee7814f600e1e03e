"""Claims as one line of text each, to compare many at once."""

from __future__ import annotations

from matrix.documents.document import read_document
from matrix.model.claim import Claim
from matrix.system.paths import fixtures_dir

DOCUMENTS = fixtures_dir() / "documents"


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
