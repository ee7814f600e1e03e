"""A sign-off as a folder: the signed statement, and beside it all that it can be checked against.

| file | |
|---|---|
| `signoff.dsse.json` | the statement in its envelope: the one file to publish |
| `record.json` | the verdicts, cells and findings (schema verdicts/1) |
| `expected.json` | what the plan expected of the release (schema expected/1) |
| `policy.toml` | the policy, as it was |
| `signoff.html` | the same for people |
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from matrix.errors import StorageError
from matrix.model.cell import Cell
from matrix.qualifying.expected import Expected
from matrix.qualifying.gate import Decision, Fate
from matrix.qualifying.statement import Digest
from matrix.records import Record

__all__ = [
    "ENVELOPE",
    "EXPECTED",
    "PAGE",
    "POLICY",
    "RECORD",
    "Papers",
    "accepted_by",
    "configuration_of",
    "write_folder",
]

ENVELOPE = "signoff.dsse.json"
RECORD = "record.json"
EXPECTED = "expected.json"
POLICY = "policy.toml"
PAGE = "signoff.html"


@dataclasses.dataclass(frozen=True)
class Papers:
    """The bytes of the files beside the envelope, by name."""

    files: Mapping[str, bytes]

    def digests(self) -> Iterator[Digest]:
        """Yield what each is by digest."""
        for name, content in sorted(self.files.items()):
            yield Digest(name, hashlib.sha256(content).hexdigest())


def configuration_of(record: Record, papers: Papers, project: Iterable[Digest]) -> list[Digest]:
    """Return what the answer depends on: papers, documents, images, and `project`, by digest."""
    documents = {Digest(f"document:{claim.document}", claim.sha256) for claim in record.claims}
    images = {
        Digest(f"image:{Cell.parse(cell.id).target}", cell.where.image.removeprefix("sha256:"))
        for cell in record.cells
        if cell.where is not None and cell.where.image
    }
    return sorted({*papers.digests(), *documents, *images, *project})


def accepted_by(
    decision: Decision, expected: Expected, record: Record
) -> Mapping[str, frozenset[str]]:
    """Return the digests that the tracer was accepted by, by cell, of the cells of passing claims.

    A lock may accept every file of a release; which of them a cell had follows from its platform.
    """
    passed = {each.claim.id for each in decision.of(Fate.PASSED)}
    cells = {part.cell for claim in expected.claims if claim.id in passed for part in claim.parts}
    return {
        cell.id: frozenset(cell.where.tracer if cell.where else ())
        for cell in record.cells
        if cell.id in cells
    }


def write_folder(folder: Path, papers: Papers, envelope: bytes) -> None:
    """Write all of it, the envelope last: a folder without it is no sign-off.

    Raises StorageError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ENVELOPE).unlink(missing_ok=True)
        for name, content in papers.files.items():
            (folder / name).write_bytes(content)
        (folder / ENVELOPE).write_bytes(envelope)
    except OSError as error:
        raise StorageError(
            f"the sign-off cannot be written to {folder}: {error.strerror}",
            "Name another folder with --out.",
        ) from error
