"""The expectations of a plan for a release: claims, the parts and cells that answer them, files.

They are stored as JSON (schema expected/1) beside the statement, so that the gate can be passed
again without the package index.

A lock may accept every file of a release by digest. The file that an installer picks follows from
CPython, platform and C library:
https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/
"""

from __future__ import annotations

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from matrix.features.qualification.policy import TARGETS
from matrix.interpreters.targets import covers_target
from matrix.model.cell import Cell
from matrix.model.plan import Omission, Plan
from matrix.model.reason import Reason
from matrix.model.validate import cell_id, count, text
from matrix.pypi.tags import supported_tags
from matrix.runs.record import CellRecord

SCHEMA = "expected/1"


@dataclasses.dataclass(frozen=True, order=True)
class Artifact:
    """A file of the release: a wheel or a source distribution, by name and sha256."""

    name: str
    sha256: str


@dataclasses.dataclass(frozen=True)
class ExpectedPart:
    """A channel of a probe that must answer in a cell; with `expects_absent` by showing nothing."""

    probe: str
    channel: str
    cell: Cell
    expects_absent: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the part as plain JSON values."""
        return {
            "probe": self.probe,
            "channel": self.channel,
            "cell": self.cell.id,
            "holds_without": self.expects_absent,
        }


@dataclasses.dataclass(frozen=True)
class ExpectedClaim:
    """A claim about the release. `left_out` are (reason, subject) of omissions without an answer.

    The claim is about `targets`. It is in `line` of the page `document`, whose content has the
    digest `sha256`.
    """

    id: str
    parts: tuple[ExpectedPart, ...]
    left_out: tuple[tuple[str, str], ...]
    document: str
    line: int
    sha256: str
    targets: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the claim as plain JSON values."""
        return {**dataclasses.asdict(self), "parts": [part.to_json() for part in self.parts]}


@dataclasses.dataclass(frozen=True)
class ExpectedRelease:
    """Every claim about the release `ddtrace` (a version), whose files are `artifacts`."""

    ddtrace: str
    claims: tuple[ExpectedClaim, ...]
    artifacts: tuple[Artifact, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the expectations as plain JSON values."""
        return {
            "schema": SCHEMA,
            **dataclasses.asdict(self),
            "claims": [claim.to_json() for claim in self.claims],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ExpectedRelease:
        """Return the expectations that `to_json` wrote; raise ValueError, KeyError or TypeError."""
        if data["schema"] != SCHEMA:
            raise ValueError(f"schema {data['schema']!r} is not {SCHEMA!r}")
        expected = cls(
            text(data["ddtrace"]),
            tuple(_claim(claim) for claim in data["claims"]),
            tuple(Artifact(text(file["name"]), text(file["sha256"])) for file in data["artifacts"]),
        )
        if len({claim.id for claim in expected.claims}) != len(expected.claims):
            raise ValueError("duplicate claim")
        for claim in expected.claims:
            for part in claim.parts:
                if part.cell.ddtrace != expected.ddtrace:
                    raise ValueError(f"{part.cell.id} is not a cell of ddtrace {expected.ddtrace}")
        return expected


def expected_release(plan: Plan, ddtrace: str, artifacts: Iterable[Artifact]) -> ExpectedRelease:
    """Return the expectations of a plan for one release, whose files are `artifacts`.

    Omissions count only for a claim without any part: a plan also omits by choice (profiles), and
    the parts that it has must then answer for the claim.
    """
    parts: dict[str, list[ExpectedPart]] = defaultdict(list)
    for part in plan.parts:
        expected = ExpectedPart(part.probe, part.channel, part.minimum, part.expects_absent)
        parts[part.claim].append(expected)
    omissions: dict[str, list[Omission]] = defaultdict(list)
    for omission in plan.omissions:
        omissions[omission.claim].append(omission)
    return ExpectedRelease(
        ddtrace,
        tuple(
            ExpectedClaim(
                claim.id,
                tuple(dict.fromkeys(parts[claim.id])),
                ()
                if parts[claim.id]
                else tuple((item.reason.value, item.subject) for item in omissions[claim.id]),
                claim.document,
                claim.line,
                claim.sha256,
                tuple(target for target in TARGETS if covers_target(claim, target)),
            )
            for claim in plan.claims
        ),
        tuple(sorted(artifacts)),
    )


def _claim(data: Mapping[str, Any]) -> ExpectedClaim:
    return ExpectedClaim(
        text(data["id"]),
        tuple(_part(**part) for part in data["parts"]),
        tuple((Reason(reason).value, text(subject)) for reason, subject in data["left_out"]),
        text(data["document"]),
        count(data["line"]),
        text(data["sha256"]),
        tuple(map(text, data["targets"])),
    )


def _part(probe: str, channel: str, cell: str, *, holds_without: bool = False) -> ExpectedPart:
    return ExpectedPart(
        text(probe), text(channel), Cell.parse(cell_id(cell)), holds_without is not False
    )


def installed_artifact(record: CellRecord, artifacts: Iterable[Artifact]) -> Artifact | None:
    """Return the artifact that the cell had, None where it had another file or that is unknown."""
    if record.where is None:
        return None
    ranks = _tag_ranks(record.cell.python, record.cell.target, record.where.libc)
    ranked = sorted(
        (rank, artifact)
        for artifact in artifacts
        if artifact.sha256 in record.where.tracer
        and (rank := _rank(artifact.name, ranks)) is not None
    )
    return ranked[0][1] if ranked else None


@functools.lru_cache(maxsize=64)
def _tag_ranks(python: str, target: str, libc: str) -> dict[str, int]:
    try:
        tags = supported_tags(python, target, libc)
    except ValueError:
        tags = supported_tags(python, target)
    return {str(tag): number for number, tag in enumerate(tags)}


def _rank(name: str, ranks: dict[str, int]) -> int | None:
    """Return the preference of an installer for a file (0: first), None for an unusable one."""
    if not name.endswith(".whl"):
        return len(ranks)  # a source distribution: built where no wheel fits
    try:
        tags = parse_wheel_filename(name)[3]
    except InvalidWheelFilename:
        return None
    return min((ranks[str(tag)] for tag in tags if str(tag) in ranks), default=None)
