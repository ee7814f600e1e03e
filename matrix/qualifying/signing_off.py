"""A qualification that passed, made into a sign-off."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

from matrix.errors import UsageError
from matrix.qualifying.expected import Expected
from matrix.qualifying.folder import (
    EXPECTED,
    PAGE,
    POLICY,
    RECORD,
    Papers,
    configuration_of,
    subjects_of,
    write_folder,
)
from matrix.qualifying.gate import Decision, decide
from matrix.qualifying.page import Signed, page_of
from matrix.qualifying.policy import Policy
from matrix.qualifying.project import Identity
from matrix.qualifying.statement import About, Digest, statement_bytes
from matrix.records import Record

__all__ = ["Material", "Pen", "sign_off"]


@dataclasses.dataclass(frozen=True)
class Material:
    """What a sign-off rests on: the bytes that are signed, and what was read from these."""

    record_bytes: bytes
    record: Record
    policy_bytes: bytes
    policy: Policy
    policy_name: str
    expected: Expected

    def decide(self, now: dt.datetime) -> Decision:
        """Pass the gate; raise `UnreadableInputError`."""
        return decide(self.expected, self.record, self.policy, now)


@dataclasses.dataclass(frozen=True)
class Pen:
    """`seal` makes the file called `name` of a statement; `signed` is what the page says of it."""

    seal: Callable[[bytes], bytes]
    name: str
    signed: Signed


def sign_off(
    material: Material, decision: Decision, project: Identity, pen: Pen, folder: Path
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
    about = About(expected.ddtrace, _finished(record), str(project))
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
    papers = Papers(
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
