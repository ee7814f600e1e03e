"""The in-toto statement of a qualification: predicate test-result/v0.1. Pure.

Its subjects are the artifacts of the tracer that passing cells had installed, and no others: a
wheel for a platform that no cell ran on is not vouched for. Its configuration is what the answer
depends on, each by digest.
https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import STATEMENT_TYPE_URI, Statement

from matrix.qualifying.gate import Decision, Fate

__all__ = [
    "PAYLOAD_TYPE",
    "PREDICATE_TYPE",
    "About",
    "Digest",
    "NotAStatementError",
    "Told",
    "parse_statement",
    "result_of",
    "statement_bytes",
]

PAYLOAD_TYPE = "application/vnd.in-toto+json"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
_ABOUT = "qualification"


class NotAStatementError(Exception):
    """Bytes that are no statement of a qualification; the message says what is wrong."""


@dataclasses.dataclass(frozen=True, order=True)
class Digest:
    """Something by its digest: `algorithm` is one of in-toto's words (`sha256`, `gitCommit`)."""

    name: str
    value: str
    algorithm: str = "sha256"

    def to_json(self) -> dict[str, Any]:
        """Return it as a resource descriptor."""
        return {"name": self.name, "digest": {self.algorithm: self.value}}


@dataclasses.dataclass(frozen=True)
class About:
    """What is stated: of which release, when (ISO time), by which version of the project."""

    ddtrace: str
    finished: str
    project: str


@dataclasses.dataclass(frozen=True)
class Told:
    """A statement read back. `result` is PASSED or WARNED; tests are claims by id."""

    about: About
    subjects: tuple[Digest, ...]
    configuration: tuple[Digest, ...]
    result: str
    passed: tuple[str, ...]
    warned: tuple[str, ...]
    failed: tuple[str, ...]


def statement_bytes(
    decision: Decision,
    about: About,
    subjects: Iterable[Digest],
    configuration: Iterable[Digest],
) -> bytes:
    """Return the statement as the JSON that is signed."""
    tests = {fate: [each.claim.id for each in decision.of(fate)] for fate in Fate}
    predicate = {
        "result": result_of(decision),
        "configuration": [
            {"name": _ABOUT, "annotations": dataclasses.asdict(about)},
            *(each.to_json() for each in sorted(configuration)),
        ],
        "passedTests": tests[Fate.PASSED],
        "warnedTests": tests[Fate.WAIVED],
        "failedTests": tests[Fate.FAILED],
    }
    data = {
        "_type": STATEMENT_TYPE_URI,
        "subject": [each.to_json() for each in sorted(subjects)],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }
    content = json.dumps(data, sort_keys=True, separators=(",", ":")).encode()
    parse_statement(content)
    return content


def parse_statement(content: bytes) -> Told:
    """Return what a statement says; raise `NotAStatementError`."""
    try:
        data = json.loads(content)
        statement = ParseDict(data, statement_pb2.Statement())
        Statement.copy_from_pb(statement).validate()
        if statement.predicate_type != PREDICATE_TYPE:
            raise NotAStatementError(f"its predicate is {statement.predicate_type!r}")
        predicate = ParseDict(MessageToDict(statement.predicate), test_result_pb2.TestResult())
        about, *configuration = predicate.configuration
        if about.name != _ABOUT:
            raise NotAStatementError("it does not say which release it is about")
        return Told(
            About(**MessageToDict(about.annotations)),
            tuple(map(_digest, statement.subject)),
            tuple(map(_digest, configuration)),
            predicate.result,
            tuple(predicate.passed_tests),
            tuple(predicate.warned_tests),
            tuple(predicate.failed_tests),
        )
    except (ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise NotAStatementError(str(error)) from error


def result_of(decision: Decision) -> str:
    """Return the word for the whole: PASSED, WARNED where something was waived, or FAILED."""
    if not decision.passed:
        return "FAILED"
    return "WARNED" if decision.of(Fate.WAIVED) else "PASSED"


def _digest(descriptor: Any) -> Digest:  # noqa: ANN401 - made by protobuf, which has no types
    digests: Mapping[str, str] = descriptor.digest
    if len(digests) != 1:
        raise NotAStatementError(f"{descriptor.name!r} has {len(digests)} digests")
    algorithm, value = next(iter(digests.items()))
    return Digest(descriptor.name, value, algorithm)
