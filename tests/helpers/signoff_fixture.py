"""A made-up release with its expectations, records, policy and signed sign-offs."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import functools
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from matrix.features.qualification.check import (
    SignatureVerifier,
    SignoffRefusedError,
    SignoffRequirements,
    check,
)
from matrix.features.qualification.expected import (
    Artifact,
    ExpectedClaim,
    ExpectedPart,
    ExpectedRelease,
)
from matrix.features.qualification.gate import decide
from matrix.features.qualification.policy import Policy, Waiver, parse_policy
from matrix.features.qualification.signatures import (
    load_public_key,
    load_signer,
    sign_statement,
    verify_envelope,
)
from matrix.features.qualification.signoff import (
    ENVELOPE,
    EXPECTED,
    PAGE,
    POLICY,
    RECORD,
    SignoffFiles,
    configuration_of,
    finished_at,
    write_folder,
)
from matrix.features.qualification.statement import Digest, StatementSubject, statement_bytes
from matrix.model.capture import CellLocation
from matrix.model.cell import Cell
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.fact import text_facts
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed, Outcome, PartVerdict, Verdict
from matrix.reporting.json import record_to_json
from matrix.runs.record import CellRecord, Record, RunFacts
from matrix.runs.record_store import parse_record

NOW = dt.datetime(2026, 11, 20, 12, 0, tzinfo=dt.timezone.utc)
CELL = Cell.parse("cp39-linux_x86_64-django3.2-ddtrace2.21.12")
OTHER = Cell.parse("cp39-linux_aarch64-django3.2-ddtrace2.21.12")
GATE_POLICY = Policy(("*",), (), (), dt.timedelta(days=7), 2, (), b"", "")
FACTS = RunFacts("documented", "", "", NOW.isoformat(), 1.0, interrupted=False)
FILES = (
    Artifact("ddtrace-2.21.12-cp39-cp39-manylinux2014_x86_64.whl", "a" * 64),
    Artifact("ddtrace-2.21.12-cp39-cp39-manylinux2014_aarch64.whl", "b" * 64),
    Artifact("ddtrace-2.21.12-cp39-cp39-musllinux_1_2_x86_64.whl", "c" * 64),
    Artifact("ddtrace-2.21.12.tar.gz", "d" * 64),
)
WHERE = CellLocation(
    *("Docker 20.10", f"sha256:{'e' * 64}", "linux", "x86_64", 64, "glibc 2.36", "3.9.18", "", ""),
    tracer=tuple(file.sha256 for file in FILES),
)
TARGETS = ("linux_x86_64", "linux_i686", "linux_aarch64")
WAIVER = Waiver(("page/capability/sca",), "known", "Emma", dt.date(2026, 12, 1))

WHEEL = b"the candidate"
DIGEST = hashlib.sha256(WHEEL).hexdigest()
ARTIFACT = Artifact(FILES[0].name, DIGEST)
PROJECT = Digest("project", "c" * 40, "gitCommit")
POLICY_TEXT = """
schema = "policy/1"
[require]
claims = ["*"]
[evidence]
max_age_days = 7
repeats = 2
"""


def claim(name: str = "sca") -> Claim:
    return Claim(
        f"page/capability/{name}",
        ClaimKind.CAPABILITY,
        name,
        ">=1.5.0",
        "1.5.0",
        Status.SUPPORTED,
        "page",
        "en",
        "0" * 64,
        "Heading",
        3,
    )


def expected(*cells: Cell, left_out: tuple[tuple[str, str], ...] = ()) -> ExpectedRelease:
    parts = tuple(ExpectedPart("sca", "dependencies", cell) for cell in cells or (CELL,))
    expected_claim = ExpectedClaim(
        *(claim().id, () if left_out else parts, left_out), *("page", 3, "0" * 64), TARGETS
    )
    return ExpectedRelease("2.21.12", (expected_claim,), FILES)


def expected_artifact(*cells: Cell) -> ExpectedRelease:
    """Return expectations in which the first file is `WHEEL`."""
    return dataclasses.replace(expected(*cells), artifacts=(ARTIFACT, *FILES[1:]))


def record(
    *cells: Cell,
    outcome: Outcome = Outcome.CONFIRMED,
    reason: Reason | None = None,
    started: dt.datetime = NOW,
    times: int = 2,
) -> Record:
    cells = cells or (CELL,)
    facts = text_facts("as seen")
    lines = tuple(
        CellRecord(
            *(cell, ("sca",), None, "", 1.0),
            reused=False,
            fallback=False,
            key="k",
            started=started.isoformat(),
            findings=(
                Finding(
                    *(cell, "sca", "dependencies", Observed.PRESENT, text_facts("seen")),
                    repeats=(("present", times),),
                ),
            ),
            where=WHERE,
        )
        for cell in cells
    )
    parts = tuple(
        PartVerdict("sca", "dependencies", (cell,), outcome, None, reason, facts) for cell in cells
    )
    verdict = Verdict(claim().id, outcome, None, reason, facts, tuple(cells), parts)
    return Record(FACTS, (claim(),), (verdict,), lines, (), "")


def refute_last_part(original: Record) -> Record:
    """Return a record of two parts with the last part, and so the claim, refuted."""
    verdict = original.verdicts[0]
    first, second = verdict.parts
    refuted = dataclasses.replace(second, outcome=Outcome.REFUTED)
    verdict = dataclasses.replace(verdict, outcome=Outcome.REFUTED, parts=(first, refuted))
    return dataclasses.replace(original, verdicts=(verdict,))


def record_bytes(original: Record) -> bytes:
    """Return a record as JSON in which all cells had `WHEEL` or the second file."""
    tracer = (DIGEST, FILES[1].sha256)
    cells = tuple(
        dataclasses.replace(line, where=dataclasses.replace(line.where or WHERE, tracer=tracer))
        for line in original.cells
    )
    return json.dumps(record_to_json(dataclasses.replace(original, cells=cells))).encode()


def verifier(public: Path) -> SignatureVerifier:
    return functools.partial(verify_envelope, key=load_public_key(public))


@dataclasses.dataclass
class Signed:
    """A sign-off in a folder, with the keys that sign and verify it."""

    folder: Path
    key: Path
    public: Path
    vouched: tuple[Artifact, ...] = (ARTIFACT,)

    def check(
        self,
        now: dt.datetime = NOW,
        ddtrace: str = "",
        artifacts: tuple[Path, ...] = (),
        documents: tuple[tuple[str, str], ...] = (),
        policy: str = "",
    ) -> None:
        requirements = SignoffRequirements(ddtrace, artifacts, documents, policy)
        check(self.folder / ENVELOPE, verifier(self.public), requirements, now)

    def refused(self, **arguments: Any) -> str:  # noqa: ANN401 - those of check
        with pytest.raises(SignoffRefusedError) as caught:
            self.check(**arguments)
        return str(caught.value)

    def statement(self) -> bytes:
        """Return the statement that was signed."""
        envelope = json.loads((self.folder / ENVELOPE).read_bytes())
        return base64.b64decode(envelope["payload"])

    def sign(
        self, original: Record, expectations: ExpectedRelease, policy: str = POLICY_TEXT
    ) -> None:
        """Write and sign what these state, true or not."""
        files = SignoffFiles(
            {
                RECORD: record_bytes(original),
                EXPECTED: json.dumps(expectations.to_json()).encode(),
                POLICY: policy.encode(),
                PAGE: b"<!doctype html>",
            }
        )
        parsed = parse_record(files.content[RECORD], RECORD)
        decision = decide(expectations, parsed, parse_policy(files.content[POLICY], POLICY), NOW)
        statement = statement_bytes(
            decision,
            StatementSubject(
                expectations.ddtrace, finished_at(parsed), f"compat-matrix {PROJECT.value}"
            ),
            [Digest(artifact.name, artifact.sha256) for artifact in self.vouched],
            configuration_of(parsed, files, [PROJECT]),
        )
        shutil.rmtree(self.folder, ignore_errors=True)
        write_folder(self.folder, files, sign_statement(statement, load_signer(self.key)))


def tamper(signed: Signed, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the statement and sign it again, as the holder of the key could."""
    path = signed.folder / ENVELOPE
    statement = json.loads(signed.statement())
    change(statement)
    content = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    path.write_bytes(sign_statement(content, load_signer(signed.key)))


def restate_digest(signed: Signed, name: str) -> None:
    """Let the statement have the digest that a changed file has now."""

    def change(statement: dict[str, Any]) -> None:
        for item in statement["predicate"]["configuration"]:
            if item["name"] == name:
                digest = hashlib.sha256((signed.folder / name).read_bytes()).hexdigest()
                item["digest"]["sha256"] = digest

    tamper(signed, change)
