"""The offline check of a sign-off: it reports the first problem.

The order is: the signature; the statement; the files beside it, by digest; the release and its
artifacts. Then the gate is passed again, by these files alone and as of now, and the statement is
made again of them: it must be the one that was signed, byte for byte.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from packaging.version import InvalidVersion, Version

from matrix.errors import UserError
from matrix.features.qualification.expected import ExpectedRelease
from matrix.features.qualification.gate import (
    ClaimFate,
    GateDecision,
    decide,
    missing_isolation,
    reached_parts,
    valid_until,
)
from matrix.features.qualification.policy import Policy, parse_policy
from matrix.features.qualification.signatures import BadSignatureError
from matrix.features.qualification.signoff import (
    EXPECTED,
    PAGE,
    POLICY,
    RECORD,
    SignoffFiles,
    configuration_of,
    finished_at,
    subjects_of,
)
from matrix.features.qualification.statement import (
    PROJECT,
    Digest,
    NotAStatementError,
    StatementContent,
    names_project,
    parse_statement,
    result_of,
    statement_bytes,
)
from matrix.model.cell import Cell
from matrix.runs.record import Record
from matrix.runs.record_store import parse_record
from matrix.system.files import read_regular
from matrix.system.strict_json import parse_strict

SignatureVerifier = Callable[[bytes], bytes]
"""Returns the statement in the content of a signed file; raises `BadSignatureError`."""

_FILES = (RECORD, EXPECTED, POLICY, PAGE)
_MAX_BYTES = 500_000_000


class SignoffRefusedError(Exception):
    """The first problem of a sign-off."""


@dataclasses.dataclass(frozen=True)
class SignoffRequirements:
    """The required release, artifacts (files) and documents (sha256 by name) of a sign-off.

    `policy` is the sha256 of the required policy: a lax one signs anything.
    """

    ddtrace: str = ""
    artifacts: tuple[Path, ...] = ()
    documents: tuple[tuple[str, str], ...] = ()
    policy: str = ""


@dataclasses.dataclass(frozen=True)
class CheckedSignoff:
    """A valid sign-off, until `until`: its statement, and the decision of the gate passed again.

    `reached` are the parts of the machine that its cells were not kept from.
    """

    statement: StatementContent
    decision: GateDecision
    policy: Policy
    until: dt.datetime
    reached: tuple[str, ...]


def check(
    envelope: Path, verify: SignatureVerifier, requirements: SignoffRequirements, now: dt.datetime
) -> CheckedSignoff:
    """Return the valid sign-off; raise `SignoffRefusedError` for its first problem."""
    content = _read(envelope)
    try:
        signed = verify(content)
        statement = parse_statement(signed)
    except (BadSignatureError, NotAStatementError) as error:
        raise SignoffRefusedError(f"{envelope.name}: {error}") from error
    files = SignoffFiles({name: _read(envelope.parent / name) for name in _FILES})
    _check_digests(statement, files)
    with _refusing_unreadable():
        expected = _parse_expected(files.content[EXPECTED])
        record = parse_record(files.content[RECORD], RECORD)
        _check_release(statement, expected, requirements)
        policy = parse_policy(files.content[POLICY], POLICY)
        if requirements.policy and requirements.policy != policy.sha256:
            raise SignoffRefusedError(f"{POLICY} is not the required policy (its sha256 differs)")
        decision = decide(expected, record, policy, now)
    _check_passed(decision)
    if missing := missing_isolation(decision, record, policy):
        raise SignoffRefusedError(
            f"it rests on cells without isolation of {', '.join(missing)}, which its policy does"
            " not permit"
        )
    _check_documents(requirements, decision)
    _check_fates(statement, decision)
    installed = subjects_of(decision, expected, record, policy)
    _check_artifacts(statement, installed)
    _check_configuration(statement, record, files)
    subjects = {artifact for artifact in installed.values() if artifact is not None}
    if statement_bytes(decision, statement.about, subjects, statement.configuration) != signed:
        raise SignoffRefusedError("the statement is not written as `qualify` writes it")
    until = valid_until(decision, record, policy)
    reached = reached_parts(decision, record, policy)
    return CheckedSignoff(statement, decision, policy, until, reached)


@contextlib.contextmanager
def _refusing_unreadable() -> Iterator[None]:
    """Refuse a sign-off for a user's error: here its files are at fault, not the user."""
    try:
        yield
    except UserError as error:
        raise SignoffRefusedError(error.message) from error


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, _MAX_BYTES)
    except OSError as error:
        raise SignoffRefusedError(f"cannot read {path.name}: {error.strerror}") from error


def _check_digests(statement: StatementContent, files: SignoffFiles) -> None:
    stated = {digest.name: digest for digest in statement.configuration}
    for digest in files.digests():
        if digest.name not in stated:
            raise SignoffRefusedError(f"the statement has no digest of {digest.name}")
        if stated[digest.name] != digest:
            raise SignoffRefusedError(
                f"{digest.name} is not the file that was signed (its sha256 differs)"
            )


def _parse_expected(content: bytes) -> ExpectedRelease:
    try:
        return ExpectedRelease.from_json(parse_strict(content))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SignoffRefusedError(f"{EXPECTED}: {error}") from error


def _check_release(
    statement: StatementContent, expected: ExpectedRelease, requirements: SignoffRequirements
) -> None:
    release = statement.about.ddtrace
    if release != expected.ddtrace:
        raise SignoffRefusedError(f"it is for ddtrace {release}, {EXPECTED} for {expected.ddtrace}")
    if requirements.ddtrace and not _same_version(requirements.ddtrace, release):
        raise SignoffRefusedError(f"it is for ddtrace {release}, not for {requirements.ddtrace}")
    digests = {subject.value for subject in statement.subjects}
    for path in requirements.artifacts:
        digest = hashlib.sha256(_read(path)).hexdigest()
        if digest not in digests:
            raise SignoffRefusedError(f"it does not vouch for {path.name} (sha256 {digest[:12]}…)")


def _same_version(one: str, other: str) -> bool:
    """Return whether two versions are equal (PEP 440: `2.21.12.0` is `2.21.12`)."""
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return False


def _check_passed(decision: GateDecision) -> None:
    if not decision.passed:
        failed = decision.with_fate(ClaimFate.FAILED)
        first = failed[0].shortfalls[0] if failed else None
        detail = (
            f"{failed[0].claim.id}: {first.kind}, {first.detail}" if first else "nothing passes"
        )
        raise SignoffRefusedError(f"it no longer passes the gate: {detail}")


def _check_documents(requirements: SignoffRequirements, decision: GateDecision) -> None:
    # The record may contain pages of which no claim was required.
    passed = {
        (judged.claim.document, judged.claim.sha256)
        for judged in decision.with_fate(ClaimFate.PASSED)
    }
    for name, digest in requirements.documents:
        if (name, digest) not in passed:
            raise SignoffRefusedError(
                f"it is not about this version of the document {name}: no claim of it passed"
            )


def _check_fates(statement: StatementContent, decision: GateDecision) -> None:
    for fate, stated in (
        (ClaimFate.PASSED, statement.passed),
        (ClaimFate.WAIVED, statement.warned),
        (ClaimFate.FAILED, statement.failed),
    ):
        decided = tuple(judged.claim.id for judged in decision.with_fate(fate))
        if stated != decided:
            extra = sorted(set(stated) - set(decided))
            missing = sorted(set(decided) - set(stated))
            names: Sequence[str] = extra or missing or stated
            raise SignoffRefusedError(
                f"the claims stated as {fate.value} are not those of the files: {names[0]}"
            )
    result = result_of(decision)
    if statement.result != result:
        raise SignoffRefusedError(f"it states {statement.result}, but the files say {result}")


def _check_artifacts(statement: StatementContent, installed: Mapping[Cell, Digest | None]) -> None:
    stated = set(statement.subjects)
    for cell, artifact in installed.items():
        if artifact not in stated:
            raise SignoffRefusedError(f"it does not vouch for the artifact that {cell.id} had")
    if surplus := sorted(stated - set(installed.values())):
        raise SignoffRefusedError(
            f"it vouches for an artifact that no passing cell had: {surplus[0].name}"
        )


def _check_configuration(statement: StatementContent, record: Record, files: SignoffFiles) -> None:
    project = [digest for digest in statement.configuration if digest.name in PROJECT]
    if not project:
        raise SignoffRefusedError("it does not state the version of the project that made it")
    if not names_project(statement.about.project, project):
        raise SignoffRefusedError("the digests of the project are not those of the one it names")
    if statement.about.finished != (finished := finished_at(record)):
        raise SignoffRefusedError(
            f"it states that the run ended at {statement.about.finished}, {RECORD} at {finished}"
        )
    if configuration_of(record, files, project) != sorted(statement.configuration):
        raise SignoffRefusedError("its configuration is not that of the record")
