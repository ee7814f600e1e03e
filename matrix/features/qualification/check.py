"""A sign-off checked again, without network: the first thing that is wrong is named.

In this order: the signature; what is signed; the papers, by digest; the release and its artifacts;
then the gate is passed once more, by the papers alone and as of now, and must say the same.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from matrix.errors import UnreadableInputError, UserError
from matrix.features.qualification.expected import ExpectedRelease
from matrix.features.qualification.gate import ClaimFate, GateDecision, decide, lasts_until
from matrix.features.qualification.policy import Policy, parse_policy
from matrix.features.qualification.signing import BadSignatureError
from matrix.features.qualification.signoff import (
    EXPECTED,
    PAGE,
    POLICY,
    RECORD,
    SignoffPapers,
    configuration_of,
    subjects_of,
)
from matrix.features.qualification.statement import (
    PROJECT,
    Digest,
    NotAStatementError,
    StatementContent,
    parse_statement,
    result_of,
)
from matrix.runs.record import Record
from matrix.runs.record_reader import parse_record

__all__ = ["CheckedSignoff", "Opener", "SignoffRefusedError", "SignoffRequirements", "check"]

Opener = Callable[[bytes], bytes]
"""Returns the statement that the content of a file holds; raises `BadSignatureError`."""

_PAPERS = (RECORD, EXPECTED, POLICY, PAGE)
_LARGEST = 500_000_000


class SignoffRefusedError(Exception):
    """The first thing that is wrong with a sign-off."""


@dataclasses.dataclass(frozen=True)
class SignoffRequirements:
    """What the sign-off must be for: a release, artifacts (files), documents (sha256 by name).

    `policy` is the sha256 of the policy that it must be by: a lax one signs anything.
    """

    ddtrace: str = ""
    artifacts: tuple[Path, ...] = ()
    documents: tuple[tuple[str, str], ...] = ()
    policy: str = ""


@dataclasses.dataclass(frozen=True)
class CheckedSignoff:
    """A sign-off that holds, until `until`: what was stated, and the gate passed again."""

    told: StatementContent
    decision: GateDecision
    policy: Policy
    until: dt.datetime


def check(
    envelope: Path, opened: Opener, wanted: SignoffRequirements, now: dt.datetime
) -> CheckedSignoff:
    """Return what holds; raise `SignoffRefusedError` for the first thing that does not."""
    content = _read(envelope)
    try:
        told = parse_statement(opened(content))
    except (BadSignatureError, NotAStatementError) as error:
        raise SignoffRefusedError(f"{envelope.name}: {error}") from error
    papers = SignoffPapers({name: _read(envelope.parent / name) for name in _PAPERS})
    _papers(told, papers)
    record, expected = _parsed(papers)
    _about(told, expected, wanted)
    policy = _policy(papers)
    if wanted.policy and wanted.policy != policy.sha256:
        raise SignoffRefusedError(
            f"{POLICY} is not the policy that it must be by (its sha256 differs)"
        )
    decision = _decided(policy, record, expected, now)
    _documents(wanted, decision)
    _same(told, decision, subjects_of(decision, expected, record, policy), record, papers)
    return CheckedSignoff(told, decision, policy, lasts_until(decision, record, policy))


def _read(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise SignoffRefusedError(f"{path.name} is no file")
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise SignoffRefusedError(f"{path.name} cannot be read: {error.strerror}") from error
    if len(content) > _LARGEST:
        raise SignoffRefusedError(f"{path.name} is too large")
    return content


def _papers(told: StatementContent, papers: SignoffPapers) -> None:
    stated = {each.name: each for each in told.configuration}
    for own in papers.digests():
        if own.name not in stated:
            raise SignoffRefusedError(f"the statement says nothing of {own.name}")
        if stated[own.name] != own:
            raise SignoffRefusedError(
                f"{own.name} is not the one that was signed (its sha256 differs)"
            )


def _parsed(papers: SignoffPapers) -> tuple[Record, ExpectedRelease]:
    try:
        expected = ExpectedRelease.from_json(json.loads(papers.files[EXPECTED]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SignoffRefusedError(f"{EXPECTED}: {error}") from error
    try:
        return parse_record(papers.files[RECORD], RECORD), expected
    except UnreadableInputError as error:
        raise SignoffRefusedError(error.message) from error


def _about(told: StatementContent, expected: ExpectedRelease, wanted: SignoffRequirements) -> None:
    release = told.about.ddtrace
    if release != expected.ddtrace:
        raise SignoffRefusedError(f"it is for ddtrace {release}, {EXPECTED} for {expected.ddtrace}")
    if wanted.ddtrace and wanted.ddtrace != release:
        raise SignoffRefusedError(f"it is for ddtrace {release}, not for {wanted.ddtrace}")
    known = {each.value for each in told.subjects}
    for path in wanted.artifacts:
        digest = hashlib.sha256(_read(path)).hexdigest()
        if digest not in known:
            raise SignoffRefusedError(f"it does not vouch for {path.name} (sha256 {digest[:12]}…)")


def _policy(papers: SignoffPapers) -> Policy:
    try:
        return parse_policy(papers.files[POLICY], POLICY)
    except UserError as error:
        raise SignoffRefusedError(error.message) from error


def _decided(
    policy: Policy, record: Record, expected: ExpectedRelease, now: dt.datetime
) -> GateDecision:
    try:
        decision = decide(expected, record, policy, now)
    except UserError as error:
        raise SignoffRefusedError(error.message) from error
    if not decision.passed:
        failed = decision.of(ClaimFate.FAILED)
        first = failed[0].shortfalls[0] if failed else None
        said = f"{failed[0].claim.id}: {first.what}, {first.detail}" if first else "nothing passes"
        raise SignoffRefusedError(f"the gate is not passed any more: {said}")
    return decision


def _documents(wanted: SignoffRequirements, decision: GateDecision) -> None:
    # The record may speak of pages of which nothing was required.
    passed = {(each.claim.document, each.claim.sha256) for each in decision.of(ClaimFate.PASSED)}
    for name, digest in wanted.documents:
        if (name, digest) not in passed:
            raise SignoffRefusedError(
                f"it is not about this version of the document {name}: no claim of it passed"
            )


def _same(
    told: StatementContent,
    decision: GateDecision,
    had: Mapping[str, Digest | None],
    record: Record,
    papers: SignoffPapers,
) -> None:
    for complaint in _differences(told, decision):
        raise SignoffRefusedError(complaint)
    if told.result != result_of(decision):
        raise SignoffRefusedError(f"it states {told.result}, the papers say {result_of(decision)}")
    stated = set(told.subjects)
    if stray := next((cell for cell, artifact in had.items() if artifact not in stated), ""):
        raise SignoffRefusedError(f"it does not vouch for the artifact that {stray} had")
    if strays := sorted(stated - set(had.values())):
        raise SignoffRefusedError(
            f"it vouches for an artifact that no passing cell had: {strays[0].name}"
        )
    project = [each for each in told.configuration if each.name in PROJECT]
    if not project:
        raise SignoffRefusedError("it does not say which version of the project made it")
    if configuration_of(record, papers, project) != sorted(told.configuration):
        raise SignoffRefusedError("the configuration that is stated is not that of the record")


def _differences(told: StatementContent, decision: GateDecision) -> Iterator[str]:
    for fate, stated in (
        (ClaimFate.PASSED, told.passed),
        (ClaimFate.WAIVED, told.warned),
        (ClaimFate.FAILED, told.failed),
    ):
        now = [each.claim.id for each in decision.of(fate)]
        extra = sorted(set(stated) - set(now))
        missing = sorted(set(now) - set(stated))
        if extra or missing or len(stated) != len(now):
            names: Sequence[str] = extra or missing or stated
            yield f"what is stated as {fate.value} is not what the papers say: {names[0]}"
