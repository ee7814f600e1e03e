"""A sign-off as a folder: the signed statement, and the files that it can be checked against.

| file | content |
|---|---|
| `signoff.dsse.json` | the statement in its envelope |
| `signoff.sigstore.json` | the statement signed without a key, instead of the envelope |
| `record.json` | the verdicts, cells and findings (schema verdicts/1) |
| `expected.json` | the plan's expectations of the release (schema expected/1) |
| `policy.toml` | the policy, unchanged |
| `signoff.html` | the page for people |
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from matrix.errors import UsageError, storage_errors
from matrix.features.qualification.expected import ExpectedRelease, installed_artifact
from matrix.features.qualification.gate import ClaimFate, GateDecision, is_required_target
from matrix.features.qualification.policy import Policy
from matrix.features.qualification.report import render_page
from matrix.features.qualification.signatures import Signer
from matrix.features.qualification.statement import (
    Digest,
    ProjectIdentity,
    StatementSubject,
    statement_bytes,
)
from matrix.model.cell import Cell
from matrix.runs.record import Record

ENVELOPE = "signoff.dsse.json"
BUNDLE = "signoff.sigstore.json"
RECORD = "record.json"
EXPECTED = "expected.json"
POLICY = "policy.toml"
PAGE = "signoff.html"


@dataclasses.dataclass(frozen=True)
class SignoffFiles:
    """The files beside the envelope: their content by name."""

    content: Mapping[str, bytes]

    def digests(self) -> Iterator[Digest]:
        """Yield the digest of each file."""
        for name, content in sorted(self.content.items()):
            yield Digest(name, hashlib.sha256(content).hexdigest())


@dataclasses.dataclass(frozen=True)
class SignoffMaterial:
    """The inputs of a sign-off; `record_bytes` are the record as it is signed."""

    record_bytes: bytes
    record: Record
    policy: Policy
    expected: ExpectedRelease


def sign_off(
    material: SignoffMaterial,
    decision: GateDecision,
    project: ProjectIdentity,
    signer: Signer,
    folder: Path,
) -> None:
    """Write the sign-off of a decision that passed.

    Raises StorageError, UsageError where `folder` is not empty, and the errors of `signer`.
    """
    if not decision.passed:
        raise UsageError("cannot sign a release that does not qualify")
    record, expected = material.record, material.expected
    artifacts = subjects_of(decision, expected, record, material.policy).values()
    subjects: list[Digest] = sorted({digest for digest in artifacts if digest is not None})
    about = StatementSubject(expected.ddtrace, finished_at(record), str(project))
    page = render_page(
        decision,
        expected=expected,
        record=record,
        policy=material.policy,
        about=about,
        subjects=subjects,
        signer=signer,
    )
    text = json.dumps(expected.to_json(), indent=1, sort_keys=True) + "\n"
    files = SignoffFiles(
        {
            RECORD: material.record_bytes,
            EXPECTED: text.encode(),
            POLICY: material.policy.content,
            PAGE: page,
        }
    )
    configuration = configuration_of(record, files, project.digests())
    envelope = signer.sign(statement_bytes(decision, about, subjects, configuration))
    write_folder(folder, files, envelope, signer.name)


def configuration_of(
    record: Record, files: SignoffFiles, project: Iterable[Digest]
) -> list[Digest]:
    """Return the inputs of the decision by digest: files, documents, images, and `project`."""
    documents = {Digest(f"document:{claim.document}", claim.sha256) for claim in record.claims}
    images = {
        Digest(f"image:{line.cell.target}", line.where.image.removeprefix("sha256:"))
        for line in record.cells
        if line.where is not None and line.where.image
    }
    return sorted({*files.digests(), *documents, *images, *project})


def subjects_of(
    decision: GateDecision, expected: ExpectedRelease, record: Record, policy: Policy
) -> Mapping[Cell, Digest | None]:
    """Return the artifact that each cell of a passing claim had; None where it had none.

    These are the cells of the claims themselves: the cells that they are compared with may have
    others. Cells on targets that the policy does not require are not included.
    """
    passed = decision.with_fate(ClaimFate.PASSED)
    parts = (part for judged in passed for part in judged.claim.parts)
    cells = {part.cell for part in parts if is_required_target(part.cell, policy)}
    subjects: dict[Cell, Digest | None] = {}
    for line in record.cells:
        if line.cell in cells:
            artifact = installed_artifact(line, expected.artifacts)
            subjects[line.cell] = Digest(artifact.name, artifact.sha256) if artifact else None
    return subjects


def check_folder(folder: Path) -> None:
    """Raise UsageError unless a sign-off can be written to `folder`: a new or empty one."""
    hint = "Name a new folder with --out."
    if folder.name in {"", ".."}:
        raise UsageError(f"{folder} is not a name for a new folder", hint)
    try:
        free = not folder.exists() or not any(folder.iterdir())
        usable = free and not folder.is_symlink()
    except NotADirectoryError:
        usable = False
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}", hint) from error
    if not usable:
        raise UsageError(f"{folder} exists already: a sign-off is never overwritten", hint)


def write_folder(folder: Path, files: SignoffFiles, envelope: bytes, name: str = ENVELOPE) -> None:
    """Write the folder atomically: under a temporary name beside it, renamed when complete.

    Raises StorageError, and UsageError where `folder` is not empty.
    """
    temporary = folder.with_name(f".signoff.{os.getpid()}-{secrets.token_hex(4)}.half")
    hint = "Free some space, or name another folder with --out."
    with storage_errors(f"cannot write the sign-off to {folder}", hint, brief=True):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        try:
            for file_name, content in (*files.content.items(), (name, envelope)):
                with (temporary / file_name).open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            check_folder(folder)
            if folder.exists():
                folder.rmdir()
            temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def finished_at(record: Record) -> str:
    """Return the end of a run, as an ISO time."""
    try:
        started = dt.datetime.fromisoformat(record.run.started)
        finished = started + dt.timedelta(seconds=record.run.seconds)
    except (ValueError, OverflowError):
        return record.run.started
    return finished.isoformat(timespec="seconds")
