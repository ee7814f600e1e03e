"""A sign-off checked again, without network: the first thing that is wrong is named.

In this order: the signature; what is signed; the papers, by digest; the release and its artifacts;
then the gate is passed once more, by the papers alone and as of now, and must say the same.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from securesystemslib.signer import SSlibKey

from matrix.errors import UnreadableInputError, UserError
from matrix.qualifying.expected import Expected
from matrix.qualifying.folder import (
    EXPECTED,
    PAGE,
    POLICY,
    RECORD,
    Papers,
    accepted_by,
    configuration_of,
)
from matrix.qualifying.gate import Decision, Fate, decide
from matrix.qualifying.policy import parse_policy
from matrix.qualifying.signing import BadSignatureError, opened
from matrix.qualifying.statement import NotAStatementError, Told, parse_statement
from matrix.records import Record, parse_record

__all__ = ["Checked", "Wanted", "WrongError", "check"]

_PAPERS = (RECORD, EXPECTED, POLICY, PAGE)
_LARGEST = 500_000_000


class WrongError(Exception):
    """The first thing that is wrong with a sign-off."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the sign-off must be for: a release, artifacts (files), documents (sha256 by name)."""

    ddtrace: str = ""
    artifacts: tuple[Path, ...] = ()
    documents: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class Checked:
    """A sign-off that holds: what was stated, and the gate passed again."""

    told: Told
    decision: Decision


def check(envelope: Path, key: SSlibKey, wanted: Wanted, now: dt.datetime) -> Checked:
    """Return what holds; raise `WrongError` for the first thing that does not."""
    content = _read(envelope)
    try:
        told = parse_statement(opened(content, key))
    except (BadSignatureError, NotAStatementError) as error:
        raise WrongError(f"{envelope.name}: {error}") from error
    papers = Papers({name: _read(envelope.parent / name) for name in _PAPERS})
    _papers(told, papers)
    record, expected = _parsed(papers)
    _about(told, expected, wanted)
    decision = _decided(papers, record, expected, now)
    _same(told, decision, record, expected, papers)
    return Checked(told, decision)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST:
            raise WrongError(f"{path.name} is too large")
        return path.read_bytes()
    except OSError as error:
        raise WrongError(f"{path.name} cannot be read: {error.strerror}") from error


def _papers(told: Told, papers: Papers) -> None:
    stated = {each.name: each for each in told.configuration}
    for own in papers.digests():
        if own.name not in stated:
            raise WrongError(f"the statement says nothing of {own.name}")
        if stated[own.name] != own:
            raise WrongError(f"{own.name} is not the one that was signed (its sha256 differs)")


def _parsed(papers: Papers) -> tuple[Record, Expected]:
    try:
        expected = Expected.from_json(json.loads(papers.files[EXPECTED]))
    except (ValueError, KeyError, TypeError) as error:
        raise WrongError(f"{EXPECTED}: {error}") from error
    try:
        return parse_record(papers.files[RECORD], RECORD), expected
    except UnreadableInputError as error:
        raise WrongError(error.message) from error


def _about(told: Told, expected: Expected, wanted: Wanted) -> None:
    release = told.about.ddtrace
    if release != expected.ddtrace:
        raise WrongError(f"it is for ddtrace {release}, {EXPECTED} for {expected.ddtrace}")
    if wanted.ddtrace and wanted.ddtrace != release:
        raise WrongError(f"it is for ddtrace {release}, not for {wanted.ddtrace}")
    known = {each.value for each in told.subjects}
    for path in wanted.artifacts:
        digest = hashlib.sha256(_read(path)).hexdigest()
        if digest not in known:
            raise WrongError(f"it does not vouch for {path.name} (sha256 {digest[:12]}…)")
    documents = {each.name: each.value for each in told.configuration}
    for name, digest in wanted.documents:
        if documents.get(f"document:{name}") != digest:
            raise WrongError(f"it is not about this version of the document {name}")


def _decided(papers: Papers, record: Record, expected: Expected, now: dt.datetime) -> Decision:
    try:
        decision = decide(expected, record, parse_policy(papers.files[POLICY], POLICY), now)
    except UserError as error:
        raise WrongError(error.message) from error
    if not decision.passed:
        failed = decision.of(Fate.FAILED)
        first = failed[0].shortfalls[0] if failed else None
        said = f"{failed[0].claim.id}: {first.what}, {first.detail}" if first else "nothing passes"
        raise WrongError(f"the gate is not passed any more: {said}")
    return decision


def _same(
    told: Told, decision: Decision, record: Record, expected: Expected, papers: Papers
) -> None:
    for complaint in _differences(told, decision):
        raise WrongError(complaint)
    stated = {each.value for each in told.subjects}
    accepted = accepted_by(decision, expected, record)
    if stray := next((cell for cell, digests in accepted.items() if not digests & stated), ""):
        raise WrongError(f"it does not vouch for the artifact that {stray} had")
    if stated - frozenset().union(*accepted.values()):
        raise WrongError("it vouches for an artifact that no passing cell had")
    project = [each for each in told.configuration if each.name == "project"]
    if configuration_of(record, papers, project) != sorted(told.configuration):
        raise WrongError("the configuration that is stated is not that of the record")


def _differences(told: Told, decision: Decision) -> Iterator[str]:
    for fate, stated in (
        (Fate.PASSED, told.passed),
        (Fate.WAIVED, told.warned),
        (Fate.FAILED, told.failed),
    ):
        now = [each.claim.id for each in decision.of(fate)]
        extra = sorted(set(stated) - set(now))
        missing = sorted(set(now) - set(stated))
        if extra or missing or len(stated) != len(now):
            names: Sequence[str] = extra or missing or stated
            yield f"what is stated as {fate.value} is not what the papers say: {names[0]}"
