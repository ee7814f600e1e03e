"""One line of the journal: a cell that ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from matrix.model.capture import CellCapture
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Shows
from matrix.model.whereabouts import Whereabouts

__all__ = ["TRANSIENT", "Entry", "is_transient"]

SCHEMA = 2

# Reasons that tell of the moment and not of the release: the next run tries again.
TRANSIENT = frozenset(
    {
        Reason.AGENT_FAILED,
        Reason.BACK_END_LOST,
        Reason.CLUSTER_LOST,
        Reason.CONTAINER_LOST,
        Reason.DISK_FULL,
        Reason.ENGINE_LOST,
        Reason.INDEX_UNAVAILABLE,
        Reason.INTERNAL_ERROR,
        Reason.INTERRUPTED,
        Reason.NO_BACK_END,
        Reason.NO_IMAGE,
        Reason.NO_INTERPRETER,
        Reason.NOT_RUN,
        Reason.OUT_OF_MEMORY,
        Reason.TIMED_OUT,
        Reason.WORKER_LOST,
        Reason.WRONG_IMAGE,
    }
)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A cell that ended: its key, how it ended, and what it was judged to show.

    `base`, `probes` (digest by name), `decisive`, `soak` and `repeats` are what the key was made
    of: a result also answers whoever asks for less of the same.
    `judge` is the key of the judging that made `findings`: where it is not today's, the capture is
    judged again. `reason` is why nothing could be judged, None for a cell that was observed.
    `transient` entries are not reused. `started` is an ISO time, `seconds` how long it took.
    `where` is where it ran, None where it did not come so far.
    """

    key: str
    base: str
    probes: Mapping[str, str]
    decisive: tuple[str, ...]
    soak: bool
    cell: str
    reason: Reason | None
    detail: str
    started: str
    seconds: float
    transient: bool
    judge: str
    findings: tuple[Finding, ...]
    where: Whereabouts | None = None
    repeats: int = 1

    def answers(
        self, probes: Mapping[str, str], decisive: Iterable[str], *, soak: bool, repeats: int = 1
    ) -> bool:
        """Return whether it holds all of this, probed in the same way."""
        return (
            probes.items() <= self.probes.items()
            and set(decisive) <= set(self.decisive)
            and (self.soak or not soak)
            and self.repeats >= repeats
        )

    def to_json(self) -> dict[str, Any]:
        """Return the entry as plain JSON values."""
        return {
            "schema": SCHEMA,
            "key": self.key,
            "base": self.base,
            "probes": dict(self.probes),
            "decisive": list(self.decisive),
            "soak": self.soak,
            "cell": self.cell,
            "reason": self.reason.value if self.reason else None,
            "detail": self.detail,
            "started": self.started,
            "seconds": self.seconds,
            "transient": self.transient,
            "judge": self.judge,
            "findings": [_finding_to_json(item) for item in self.findings],
            "where": self.where.to_json() if self.where else None,
            **({"repeats": self.repeats} if self.repeats > 1 else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Entry:
        """Return the entry that `to_json` wrote; raise ValueError, KeyError or TypeError."""
        if data["schema"] != SCHEMA:
            raise ValueError(f"schema {data['schema']!r} is not {SCHEMA}")
        return cls(
            key=data["key"],
            base=data["base"],
            probes=dict(data["probes"]),
            decisive=tuple(data["decisive"]),
            soak=data["soak"],
            cell=data["cell"],
            reason=Reason(data["reason"]) if data["reason"] else None,
            detail=data["detail"],
            started=data["started"],
            seconds=data["seconds"],
            transient=data["transient"],
            judge=data["judge"],
            findings=tuple(_finding_from_json(item) for item in data["findings"]),
            where=Whereabouts.from_json(data["where"]) if data.get("where") else None,
            repeats=int(data.get("repeats", 1)),
        )


def is_transient(capture: CellCapture, *, timed_out_before: bool = False) -> bool:
    """Return whether a capture tells of the moment (or in part of it) and is to be made again.

    A time limit tells of the release where it strikes in two runs in a row, or strikes one process
    of a cell and not the others, which the same machine ran at the same time.
    """
    reasons = {capture.failed, *(process.failed for process in capture.processes)}
    others = capture.failed is None and any(item.failed is None for item in capture.processes)
    passing = TRANSIENT - {Reason.TIMED_OUT} if timed_out_before or others else TRANSIENT
    return not passing.isdisjoint(reason for reason in reasons if reason is not None)


def _finding_to_json(finding: Finding) -> dict[str, Any]:
    return {
        "cell": finding.cell,
        "probe": finding.probe,
        "channel": finding.channel,
        "shows": finding.shows.value,
        "evidence": finding.evidence,
        "reason": finding.reason.value if finding.reason else None,
        "repeats": [list(item) for item in finding.repeats],
        "notes": list(finding.notes),
        "back_ends": list(finding.back_ends),
    }


def _finding_from_json(data: Mapping[str, Any]) -> Finding:
    return Finding(
        cell=data["cell"],
        probe=data["probe"],
        channel=data["channel"],
        shows=Shows(data["shows"]),
        evidence=data["evidence"],
        reason=Reason(data["reason"]) if data["reason"] else None,
        repeats=tuple((name, count) for name, count in data["repeats"]),
        notes=tuple(data["notes"]),
        back_ends=tuple(data.get("back_ends", ())),
    )
