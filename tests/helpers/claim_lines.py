"""Claims as one line of text each, for comparing many at once."""

from __future__ import annotations

from matrix.documents.document import read_document
from matrix.model.claim import Claim
from matrix.system.paths import fixtures_dir

DOCUMENTS = fixtures_dir() / "documents"


def promises(name: str, kind: str) -> list[str]:
    """Return what a document of our own promises of one kind; it must be wholly understood."""
    reading = read_document(DOCUMENTS / f"{name}.md")
    assert reading.problems == ()
    return [told(claim) for claim in reading.claims if claim.kind.value == kind]


def told(claim: Claim) -> str:
    """Return a claim as `line subject specifier status scope`."""
    scope = [f"{key}={value}" for key, value in claim.scope]
    parts = [str(claim.line), claim.subject, claim.specifier, claim.status.value, *scope]
    return " ".join(part for part in parts if part)
