"""The in-toto statement of a qualification: predicate test-result/v0.1. Pure.

Its subjects are the artifacts of the tracer that passing cells had installed, and no others: a
wheel for a platform that no cell ran on is not vouched for. Its configuration is what the answer
depends on, each by digest.
https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md

Which version of this project states something: a commit of git, else a digest of its sources.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import STATEMENT_TYPE_URI, Statement

from matrix.errors import UsageError
from matrix.features.qualification.gate import ClaimFate, GateDecision
from matrix.runs.keys import Sources

__all__ = [
    "PAYLOAD_TYPE",
    "PREDICATE_TYPE",
    "PROJECT",
    "Digest",
    "NotAStatementError",
    "ProjectIdentity",
    "StatementContent",
    "StatementSubject",
    "identify",
    "parse_statement",
    "refuse_changes",
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
class StatementSubject:
    """What is stated: of which release, when (ISO time), by which version of the project."""

    ddtrace: str
    finished: str
    project: str


@dataclasses.dataclass(frozen=True)
class StatementContent:
    """A statement read back. `result` is PASSED or WARNED; tests are claims by id."""

    about: StatementSubject
    subjects: tuple[Digest, ...]
    configuration: tuple[Digest, ...]
    result: str
    passed: tuple[str, ...]
    warned: tuple[str, ...]
    failed: tuple[str, ...]


def statement_bytes(
    decision: GateDecision,
    about: StatementSubject,
    subjects: Iterable[Digest],
    configuration: Iterable[Digest],
) -> bytes:
    """Return the statement as the JSON that is signed."""
    tests = {fate: [each.claim.id for each in decision.of(fate)] for fate in ClaimFate}
    predicate = {
        "result": result_of(decision),
        "configuration": [
            {"name": _ABOUT, "annotations": dataclasses.asdict(about)},
            *(each.to_json() for each in sorted(configuration)),
        ],
        "passedTests": tests[ClaimFate.PASSED],
        "warnedTests": tests[ClaimFate.WAIVED],
        "failedTests": tests[ClaimFate.FAILED],
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


def parse_statement(content: bytes) -> StatementContent:
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
        return StatementContent(
            StatementSubject(**MessageToDict(about.annotations)),
            tuple(map(_digest, statement.subject)),
            tuple(map(_digest, configuration)),
            predicate.result,
            tuple(predicate.passed_tests),
            tuple(predicate.warned_tests),
            tuple(predicate.failed_tests),
        )
    except (ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise NotAStatementError(str(error)) from error


def result_of(decision: GateDecision) -> str:
    """Return the word for the whole: PASSED, WARNED where something was waived, or FAILED."""
    if not decision.passed:
        return "FAILED"
    return "WARNED" if decision.of(ClaimFate.WAIVED) else "PASSED"


def _digest(descriptor: Any) -> Digest:  # noqa: ANN401 - made by protobuf, which has no types
    digests: Mapping[str, str] = descriptor.digest
    if len(digests) != 1:
        raise NotAStatementError(f"{descriptor.name!r} has {len(digests)} digests")
    algorithm, value = next(iter(digests.items()))
    return Digest(descriptor.name, value, algorithm)


_COMMIT, _SOURCES = "project", "project-sources"
PROJECT = frozenset({_COMMIT, _SOURCES})
"""The names of the project's own digests in a statement's configuration."""

# What can change an answer.
_PARTS = ("matrix", "apps", "fixtures", "requirements")
_TIMEOUT = 60.0
_HINT = "Commit it, or say --allow-dirty: the statement then tells."


@dataclasses.dataclass(frozen=True)
class ProjectIdentity:
    """`commit` is "" outside of git, `changed` what differs from it, `sources` a sha256."""

    commit: str
    changed: tuple[str, ...]
    sources: str

    def __str__(self) -> str:
        if not self.commit:
            return f"compat-matrix, sources sha256 {self.sources}"
        count = len(self.changed)
        changed = f", with {count} file{'s' if count > 1 else ''} changed" if count else ""
        return f"compat-matrix {self.commit}{changed}"

    def digests(self) -> Iterator[Digest]:
        """Yield what stands for it; a commit alone does not where files were changed."""
        if self.commit:
            yield Digest(_COMMIT, self.commit, "gitCommit")
        if self.changed or not self.commit:
            yield Digest(_SOURCES, self.sources)


def identify(root: Path) -> ProjectIdentity:
    """Return the identity of the project in `root`."""
    sources = Sources.of(root / part for part in _PARTS if (root / part).is_dir()).digest
    top = _git(root, "rev-parse", "--show-toplevel")
    # Unpacked within a repository of something else, it is no part of that.
    if not top or Path(top.rstrip("\n")).resolve() != root.resolve():
        return ProjectIdentity("", (), sources)
    commit = _git(root, "rev-parse", "--verify", "HEAD").strip()
    status = _git(root, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--", *_PARTS)
    changed = tuple(line[3:] for line in status.split("\0") if line[2:3] == " ")
    return ProjectIdentity(commit, changed if commit else (), sources)


def refuse_changes(identity: ProjectIdentity) -> None:
    """Raise UsageError where the project is not what its commit says."""
    if identity.changed:
        first = ", ".join(identity.changed[:3])
        more = f" and {len(identity.changed) - 3} more" if len(identity.changed) > 3 else ""  # noqa: PLR2004
        raise UsageError(f"files differ from the commit: {first}{more}", _HINT)


def _git(root: Path, *words: str) -> str:
    """Return what git says, "" where there is none or it fails."""
    # Not asked by the user's own settings: a file system monitor is a program to run.
    command = ("git", "-c", "core.fsmonitor=false", "-C", str(root), *words)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_TIMEOUT, check=True, env=environ
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace")
