"""What the plan expects for a release: claims, and the parts and cells that must answer them.

Kept as JSON (schema expected/1) beside the statement, so that the gate can be passed again without
the package index.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from matrix.features.qualification.artifacts import Artifact
from matrix.features.qualification.policy import TARGETS
from matrix.interpreters.targets import covers_target
from matrix.model.cell import Cell
from matrix.model.plan import Omission, Plan
from matrix.model.reason import Reason

__all__ = ["SCHEMA", "ExpectedClaim", "ExpectedPart", "ExpectedRelease", "expected_of"]

SCHEMA = "expected/1"


@dataclasses.dataclass(frozen=True)
class ExpectedPart:
    """A channel of a probe that must answer in a cell; `expects_absent` by showing nothing."""

    probe: str
    channel: str
    cell: str
    expects_absent: bool = False


@dataclasses.dataclass(frozen=True)
class ExpectedClaim:
    """A promise about the release. `left_out` are (reason, what) that keep it from an answer.

    It is about `targets`, and stands in `line` of the page `document`, whose content has the digest
    `sha256`.
    """

    id: str
    parts: tuple[ExpectedPart, ...]
    left_out: tuple[tuple[str, str], ...]
    document: str
    line: int
    sha256: str
    targets: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ExpectedRelease:
    """Every claim that is about the release `ddtrace` (a version), whose files are `artifacts`."""

    ddtrace: str
    claims: tuple[ExpectedClaim, ...]
    artifacts: tuple[Artifact, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {"schema": SCHEMA, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ExpectedRelease:
        """Return what `to_json` wrote; raise ValueError, KeyError or TypeError."""
        if data["schema"] != SCHEMA:
            raise ValueError(f"schema {data['schema']!r} is not {SCHEMA!r}")
        made = cls(
            str(data["ddtrace"]),
            tuple(_claim(one) for one in data["claims"]),
            tuple(Artifact(str(one["name"]), str(one["sha256"])) for one in data["artifacts"]),
        )
        if len({claim.id for claim in made.claims}) != len(made.claims):
            raise ValueError("a claim stands twice")
        for claim in made.claims:
            for part in claim.parts:
                if Cell.parse(part.cell).ddtrace != made.ddtrace:
                    raise ValueError(f"{part.cell} is no cell of ddtrace {made.ddtrace}")
        return made


def expected_of(plan: Plan, ddtrace: str, artifacts: Iterable[Artifact]) -> ExpectedRelease:
    """Return what a plan for one release, whose files are `artifacts`, expects.

    What was left out of a claim counts only where nothing of it is asked at all: the plan leaves
    out by choice as well (profiles), and a part that it asks must then answer for the claim.
    """
    parts: dict[str, list[ExpectedPart]] = defaultdict(list)
    for part in plan.parts:
        made = ExpectedPart(part.probe, part.channel, part.minimum, part.expects_absent)
        parts[part.claim].append(made)
    left: dict[str, list[Omission]] = defaultdict(list)
    for item in plan.omissions:
        left[item.claim].append(item)
    return ExpectedRelease(
        ddtrace,
        tuple(
            ExpectedClaim(
                claim.id,
                tuple(dict.fromkeys(parts[claim.id])),
                ()
                if parts[claim.id]
                else tuple((item.reason.value, item.what) for item in left[claim.id]),
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
        str(data["id"]),
        tuple(ExpectedPart(**one) for one in data["parts"]),
        tuple((Reason(reason).value, str(what)) for reason, what in data["left_out"]),
        str(data["document"]),
        int(data["line"]),
        str(data["sha256"]),
        tuple(map(str, data["targets"])),
    )
