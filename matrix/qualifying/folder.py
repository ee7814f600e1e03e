"""A sign-off as a folder: the signed statement, and beside it all that it can be checked against.

| file | |
|---|---|
| `signoff.dsse.json` | the statement in its envelope |
| `signoff.sigstore.json` | the same, signed without a key: in its place |
| `record.json` | the verdicts, cells and findings (schema verdicts/1) |
| `expected.json` | what the plan expected of the release (schema expected/1) |
| `policy.toml` | the policy, as it was |
| `signoff.html` | the same for people |
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from matrix.errors import StorageError, UsageError
from matrix.model.cell import Cell
from matrix.qualifying.artifacts import artifact_of
from matrix.qualifying.expected import Expected
from matrix.qualifying.gate import Decision, Fate, on_target
from matrix.qualifying.policy import Policy
from matrix.qualifying.statement import Digest
from matrix.records import Record

__all__ = [
    "BUNDLE",
    "ENVELOPE",
    "EXPECTED",
    "PAGE",
    "POLICY",
    "RECORD",
    "Papers",
    "check_place",
    "configuration_of",
    "subjects_of",
    "write_folder",
]

ENVELOPE = "signoff.dsse.json"
BUNDLE = "signoff.sigstore.json"
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


def subjects_of(
    decision: Decision, expected: Expected, record: Record, policy: Policy
) -> Mapping[str, Digest | None]:
    """Return the artifact that each cell of passing claims had, by cell; None where it had none.

    These are the cells that the claims are asked in: what they are compared with may have others.
    Of a target that the policy does not require nobody asked whether they hold.
    """
    passed = decision.of(Fate.PASSED)
    parts = (part for each in passed for part in each.claim.parts)
    cells = {part.cell for part in parts if on_target(part.cell, policy)}
    found: dict[str, Digest | None] = {}
    for cell in record.cells:
        if cell.id in cells:
            artifact = artifact_of(cell, expected.artifacts)
            found[cell.id] = Digest(artifact.name, artifact.sha256) if artifact else None
    return found


def check_place(folder: Path) -> None:
    """Raise UsageError where a sign-off cannot be written to `folder` as there is something."""
    if folder.name in {"", ".."}:
        raise UsageError(f"{folder} is no name for a new folder", "Name one with --out.")
    if folder.is_symlink() or folder.exists():
        empty = folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir())
        if not empty:
            raise UsageError(
                f"{folder} is there already: a sign-off is never written over another",
                "Name a new folder with --out.",
            )


def write_folder(folder: Path, papers: Papers, envelope: bytes, name: str = ENVELOPE) -> None:
    """Write all of it at once: made beside it under another name, and renamed when complete.

    Raises StorageError, and UsageError where there is something in `folder` already.
    """
    half = folder.with_name(f".{folder.name}.{os.getpid()}-{secrets.token_hex(4)}.half")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        half.mkdir()
        try:
            for each, content in (*papers.files.items(), (name, envelope)):
                with (half / each).open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            check_place(folder)
            if folder.exists():
                folder.rmdir()
            half.rename(folder)
        finally:
            shutil.rmtree(half, ignore_errors=True)
    except OSError as error:
        raise StorageError(
            f"the sign-off cannot be written to {folder}: {error.strerror}",
            "Make room, or name another folder with --out.",
        ) from error
