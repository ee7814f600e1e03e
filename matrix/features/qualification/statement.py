"""The in-toto statement of a qualification (predicate test-result/v0.1), and who states it.

The subjects are the artifacts of the tracer that passing cells had installed, and no others: a
wheel for a platform that no cell ran on is not vouched for. The configuration is the release, by
its package URL, and everything that the decision depends on, by digest.
https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md
https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md
https://github.com/package-url/purl-spec/blob/main/types-doc/pypi-definition.md

The version of this project in a statement is a commit of git, otherwise a digest of its sources.
"""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import STATEMENT_TYPE_URI, Statement

from matrix.errors import UsageError
from matrix.features.qualification.gate import ClaimFate, GateDecision
from matrix.system.source_files import digest_files
from matrix.system.strict_json import canonical_json, parse_canonical

PAYLOAD_TYPE = "application/vnd.in-toto+json"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
_ABOUT = "qualification"
_MAX_BYTES = 50_000_000


class NotAStatementError(Exception):
    """Bytes that are not a statement of a qualification; the message is the reason."""


@dataclasses.dataclass(frozen=True, order=True)
class Digest:
    """A name with a digest: `algorithm` is one of in-toto's names (`sha256`, `gitCommit`)."""

    name: str
    value: str
    algorithm: str = "sha256"

    def to_json(self) -> dict[str, Any]:
        """Return the digest as a resource descriptor."""
        return {"name": self.name, "digest": {self.algorithm: self.value}}


@dataclasses.dataclass(frozen=True)
class StatementSubject:
    """The release, the end of its run (ISO time), and the version of this project."""

    ddtrace: str
    finished: str
    project: str

    @property
    def uri(self) -> str:
        """The package URL of the release."""
        return f"pkg:pypi/ddtrace@{urllib.parse.quote(self.ddtrace, safe='')}"


@dataclasses.dataclass(frozen=True)
class StatementContent:
    """A parsed statement. `result` is PASSED or WARNED; the tests are claim ids."""

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
    tests = {fate: [judged.claim.id for judged in decision.with_fate(fate)] for fate in ClaimFate}
    predicate = {
        "result": result_of(decision),
        "configuration": [
            {"name": _ABOUT, "uri": about.uri, "annotations": dataclasses.asdict(about)},
            *(digest.to_json() for digest in sorted(configuration)),
        ],
        "passedTests": tests[ClaimFate.PASSED],
        "warnedTests": tests[ClaimFate.WAIVED],
        "failedTests": tests[ClaimFate.FAILED],
    }
    data = {
        "_type": STATEMENT_TYPE_URI,
        "subject": [digest.to_json() for digest in sorted(subjects)],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }
    content = canonical_json(data)
    parse_statement(content)
    return content


def parse_statement(content: bytes) -> StatementContent:
    """Return the content of a statement in canonical JSON; raise `NotAStatementError`."""
    if len(content) > _MAX_BYTES:
        raise NotAStatementError("it is too large for a statement")
    try:
        statement = ParseDict(parse_canonical(content), statement_pb2.Statement())
        Statement.copy_from_pb(statement).validate()
        if statement.predicate_type != PREDICATE_TYPE:
            raise NotAStatementError(f"its predicate is {statement.predicate_type!r}")
        predicate = ParseDict(MessageToDict(statement.predicate), test_result_pb2.TestResult())
        about, *configuration = predicate.configuration
        subject = StatementSubject(**MessageToDict(about.annotations))
        if (about.name, about.uri) != (_ABOUT, subject.uri):
            raise NotAStatementError("it does not name the release it is about")
        return StatementContent(
            subject,
            tuple(map(_digest, statement.subject)),
            tuple(map(_digest, configuration)),
            predicate.result,
            tuple(predicate.passed_tests),
            tuple(predicate.warned_tests),
            tuple(predicate.failed_tests),
        )
    except (ParseError, ValueError, TypeError, AttributeError) as error:
        raise NotAStatementError(str(error)) from error


def result_of(decision: GateDecision) -> str:
    """Return the overall result: PASSED, WARNED where some claim was waived, or FAILED."""
    if not decision.passed:
        return "FAILED"
    return "WARNED" if decision.with_fate(ClaimFate.WAIVED) else "PASSED"


def _digest(descriptor: Any) -> Digest:  # noqa: ANN401 - made by protobuf, which has no types
    digests: Mapping[str, str] = descriptor.digest
    if len(digests) != 1:
        raise NotAStatementError(f"{descriptor.name!r} has {len(digests)} digests")
    algorithm, value = next(iter(digests.items()))
    return Digest(descriptor.name, value, algorithm)


_COMMIT, _SOURCES = "project", "project-sources"
PROJECT = frozenset({_COMMIT, _SOURCES})
"""The names of the project's own digests in a statement's configuration."""

# The folders that can change a result.
_FOLDERS = ("matrix", "apps", "fixtures", "requirements")
_CHANGED = re.compile(r", with ([0-9]{1,6}) files? changed\Z")
_TIMEOUT = 60.0
_HINT = "Commit them, or use --allow-dirty: the statement then records it."


@dataclasses.dataclass(frozen=True)
class ProjectIdentity:
    """The version of this project: `commit` ("" outside of git), `changed` files, and `sources`.

    `sources` is the sha256 of its source files.
    """

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
        """Yield the digests that identify it: not the commit alone where files were changed."""
        if self.commit:
            yield Digest(_COMMIT, self.commit, "gitCommit")
        if self.changed or not self.commit:
            yield Digest(_SOURCES, self.sources)


def names_project(text: str, digests: Sequence[Digest]) -> bool:
    """Return whether a statement's text about this project says what its digests say."""
    values = {digest.name: digest.value for digest in digests}
    count = _CHANGED.search(text)
    changed = ("",) * int(count[1]) if count else ()
    identity = ProjectIdentity(values.get(_COMMIT, ""), changed, values.get(_SOURCES, ""))
    return str(identity) == text and sorted(identity.digests()) == sorted(digests)


def identify(root: Path) -> ProjectIdentity:
    """Return the identity of the project in `root`."""
    sources = digest_files(root / folder for folder in _FOLDERS if (root / folder).is_dir())
    top = _git(root, "rev-parse", "--show-toplevel")
    # A copy inside the repository of another project has no commit of its own.
    if not top or Path(top.rstrip("\n")).resolve() != root.resolve():
        return ProjectIdentity("", (), sources)
    commit = _git(root, "rev-parse", "--verify", "HEAD").strip()
    status = _git(root, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--", *_FOLDERS)
    changed = tuple(line[3:] for line in status.split("\0") if line[2:3] == " ")
    return ProjectIdentity(commit, changed if commit else (), sources)


def refuse_changes(identity: ProjectIdentity) -> None:
    """Raise UsageError where files of the project differ from its commit."""
    if identity.changed:
        first = ", ".join(identity.changed[:3])
        more = f" and {len(identity.changed) - 3} more" if len(identity.changed) > 3 else ""  # noqa: PLR2004
        raise UsageError(f"files differ from the commit: {first}{more}", _HINT)


def _git(root: Path, *arguments: str) -> str:
    """Return the output of git, "" where it is missing or fails."""
    # Ignore the user's own settings: a file system monitor is a program to run.
    command = ("git", "-c", "core.fsmonitor=false", "-C", str(root), *arguments)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        process = subprocess.run(
            command, capture_output=True, timeout=_TIMEOUT, check=True, env=environ
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return process.stdout.decode(errors="replace")
