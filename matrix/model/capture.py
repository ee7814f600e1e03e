"""A capture: everything that was seen while a cell ran, raw, so that it can be judged again.

Plain JSON on disk (`CellCapture.to_json`, gzip by the journal); bytes from the tracer are kept as
`{"base64": "..."}`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from matrix.model.reason import Reason

__all__ = ["AgentRequest", "CellCapture", "Exchange", "Identity", "ProcessCapture"]


@dataclasses.dataclass(frozen=True)
class Identity:
    """Where a cell really was, as told from inside of it.

    `python` is the full version (`3.9.18`), `build` the compiler line, `bits` the pointer size,
    `libc` such as `glibc 2.36`, `installed` distribution name (normalised) to version.
    """

    python: str
    build: str
    implementation: str
    machine: str
    bits: int
    libc: str
    os: str
    installed: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Exchange:
    """One HTTP request of a probe to the app, and what the client got.

    `shop` is the unique first path segment that the request's spans can be told by. `at` is seconds
    since the process was started. `status` is None where no answer came, and `error` says why.
    """

    probe: str
    channel: str
    stimulus: str
    attempt: int
    shop: str
    at: float
    method: str
    path: str
    request_headers: Mapping[str, str]
    request_body: str
    status: int | None
    headers: Mapping[str, str]
    body: str
    error: str | None = None


@dataclasses.dataclass(frozen=True)
class AgentRequest:
    """One request of the tracer to the agent: `body` is the decoded payload as JSON values."""

    at: float
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclasses.dataclass(frozen=True)
class ProcessCapture:
    """One process of the app under one setting, from start to stop.

    `purpose` is `probe` or `soak`; `repeat` counts from 0. `exit_code` is negative for a signal
    that the process died of by itself, None where it lived until we stopped it. `failed` and
    `detail` say why it gave no observations (broken start, timed out, agent failed).
    """

    setting: str
    purpose: str
    repeat: int
    environment: Mapping[str, str]
    boot_seconds: float | None
    seconds: float
    exit_code: int | None
    exchanges: tuple[Exchange, ...]
    agent: tuple[AgentRequest, ...]
    log: str
    failed: Reason | None = None
    detail: str = ""


@dataclasses.dataclass(frozen=True)
class CellCapture:
    """A cell's whole run. `failed` and `detail` are set where no process could be judged at all."""

    cell: str
    key: str
    identity: Identity | None
    lock: tuple[str, ...]
    processes: tuple[ProcessCapture, ...]
    started: str
    seconds: float
    failed: Reason | None = None
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the capture as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CellCapture:
        """Return the capture that `to_json` wrote."""
        identity = data["identity"]
        return cls(
            **{
                **data,
                "identity": Identity(**identity) if identity else None,
                "lock": tuple(data["lock"]),
                "processes": tuple(_process(item) for item in data["processes"]),
                "failed": Reason(data["failed"]) if data["failed"] else None,
            }
        )


def _process(data: Mapping[str, Any]) -> ProcessCapture:
    return ProcessCapture(
        **{
            **data,
            "exchanges": tuple(Exchange(**item) for item in data["exchanges"]),
            "agent": tuple(AgentRequest(**item) for item in data["agent"]),
            "failed": Reason(data["failed"]) if data["failed"] else None,
        }
    )
