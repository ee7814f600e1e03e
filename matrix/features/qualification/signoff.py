"""A sign-off as a folder: the signed statement, and beside it all that it can be checked against.

| file | |
|---|---|
| `signoff.dsse.json` | the statement in its envelope |
| `signoff.sigstore.json` | the same, signed without a key: in its place |
| `record.json` | the verdicts, cells and findings (schema verdicts/1) |
| `expected.json` | what the plan expected of the release (schema expected/1) |
| `policy.toml` | the policy, as it was |
| `signoff.html` | the same for people |

A qualification that passed, made into a sign-off.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from matrix.errors import StorageError, UsageError
from matrix.features.qualification.artifacts import artifact_of
from matrix.features.qualification.expected import ExpectedRelease
from matrix.features.qualification.gate import ClaimFate, GateDecision, decide, on_target
from matrix.features.qualification.policy import Policy
from matrix.features.qualification.report import SignatureInfo, page_of
from matrix.features.qualification.statement import (
    Digest,
    ProjectIdentity,
    StatementSubject,
    statement_bytes,
)
from matrix.model.cell import Cell
from matrix.runs.record import Record

__all__ = [
    "BUNDLE",
    "ENVELOPE",
    "EXPECTED",
    "PAGE",
    "POLICY",
    "RECORD",
    "Signer",
    "SignoffMaterial",
    "SignoffPapers",
    "check_place",
    "configuration_of",
    "sign_off",
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
class SignoffPapers:
    """The bytes of the files beside the envelope, by name."""

    files: Mapping[str, bytes]

    def digests(self) -> Iterator[Digest]:
        """Yield what each is by digest."""
        for name, content in sorted(self.files.items()):
            yield Digest(name, hashlib.sha256(content).hexdigest())


def configuration_of(
    record: Record, papers: SignoffPapers, project: Iterable[Digest]
) -> list[Digest]:
    """Return what the answer depends on: papers, documents, images, and `project`, by digest."""
    documents = {Digest(f"document:{claim.document}", claim.sha256) for claim in record.claims}
    images = {
        Digest(f"image:{Cell.parse(cell.id).target}", cell.where.image.removeprefix("sha256:"))
        for cell in record.cells
        if cell.where is not None and cell.where.image
    }
    return sorted({*papers.digests(), *documents, *images, *project})


def subjects_of(
    decision: GateDecision, expected: ExpectedRelease, record: Record, policy: Policy
) -> Mapping[str, Digest | None]:
    """Return the artifact that each cell of passing claims had, by cell; None where it had none.

    These are the cells that the claims are asked in: what they are compared with may have others.
    Of a target that the policy does not require nobody asked whether they hold.
    """
    passed = decision.of(ClaimFate.PASSED)
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


def write_folder(
    folder: Path, papers: SignoffPapers, envelope: bytes, name: str = ENVELOPE
) -> None:
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


@dataclasses.dataclass(frozen=True)
class SignoffMaterial:
    """What a sign-off rests on: the bytes that are signed, and what was read from these."""

    record_bytes: bytes
    record: Record
    policy_bytes: bytes
    policy: Policy
    policy_name: str
    expected: ExpectedRelease

    def decide(self, now: dt.datetime) -> GateDecision:
        """Pass the gate; raise `UnreadableInputError`."""
        return decide(self.expected, self.record, self.policy, now)


@dataclasses.dataclass(frozen=True)
class Signer:
    """`seal` makes the file called `name` of a statement; `signed` is what the page says of it."""

    seal: Callable[[bytes], bytes]
    name: str
    signed: SignatureInfo


def sign_off(
    material: SignoffMaterial,
    decision: GateDecision,
    project: ProjectIdentity,
    pen: Signer,
    folder: Path,
) -> None:
    """Write the sign-off of a decision that passed.

    Raises StorageError, UsageError where there is something in `folder` already, and what `pen`
    raises.
    """
    if not decision.passed:
        raise UsageError("nothing is signed of a release that does not qualify")
    record, expected = material.record, material.expected
    had = subjects_of(decision, expected, record, material.policy)
    subjects: list[Digest] = sorted({each for each in had.values() if each is not None})
    about = StatementSubject(expected.ddtrace, _finished(record), str(project))
    page = page_of(
        decision,
        expected=expected,
        record=record,
        policy=material.policy,
        about=about,
        subjects=subjects,
        signed=pen.signed,
    )
    text = json.dumps(expected.to_json(), indent=1, sort_keys=True) + "\n"
    papers = SignoffPapers(
        {
            RECORD: material.record_bytes,
            EXPECTED: text.encode(),
            POLICY: material.policy_bytes,
            PAGE: page,
        }
    )
    configuration = configuration_of(record, papers, project.digests())
    envelope = pen.seal(statement_bytes(decision, about, subjects, configuration))
    write_folder(folder, papers, envelope, pen.name)


def _finished(record: Record) -> str:
    try:
        started = dt.datetime.fromisoformat(record.run.started)
        finished = started + dt.timedelta(seconds=record.run.seconds)
    except (ValueError, OverflowError):
        return record.run.started
    return finished.isoformat(timespec="seconds")
