"""Captures: the raw record of a cell that ran, so that it can be judged again.

A capture is plain JSON on disk (`CellCapture.to_json`, gzip by the journal). Bytes from the tracer
are `{"base64": "..."}`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

from matrix.model.reason import Reason
from matrix.model.service import Backend

# How the description of the isolation begins where there is none.
UNISOLATED = "no network isolation"
NETWORK = "network"
PARTS = (NETWORK, "files", "processes", "user", "ipc", "limits")
"""Parts of the machine that a cell can be kept from: connections beyond loopback; files that are
not its own; processes; the rights of the user; shared memory; and more than a share of memory,
processes and disk."""
BARE = "bare"
"""The setting of the bare control: the app without the tracer."""
OUTSIDE = "outside"
"""The purpose of a process that ran outside of its cell's place, as the control of the place."""


@dataclasses.dataclass(frozen=True)
class Identity:
    """The real environment of a cell, as read from inside of it.

    `python` is the full version (`3.9.18`), `build` the compiler line, `bits` the pointer size,
    `libc` such as `glibc 2.36`, `installed` distribution name (normalised) to version. `platform`
    is `sysconfig.get_platform()`, `executable` the interpreter's path inside; both are empty in
    captures from before they existed.
    """

    python: str
    build: str
    implementation: str
    machine: str
    bits: int
    libc: str
    os: str
    installed: Mapping[str, str]
    platform: str = ""
    executable: str = ""


@dataclasses.dataclass(frozen=True)
class FollowUp:
    """A second request after an exchange: a GET of `path`, and the answer of the app."""

    path: str
    status: int | None
    body: str


@dataclasses.dataclass(frozen=True)
class Exchange:
    """One HTTP request of a probe to the app, and the answer of the app.

    `shop` is the unique first path segment that identifies the request's spans. `at` is seconds
    since the process was started. `status` is None without an answer, and `error` says why.
    `control` is set where the request was sent as the negative control of its channel. The warm-up
    request of a process has empty `probe`, `channel` and `stimulus`.
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
    control: bool = False
    follow_up: FollowUp | None = None


@dataclasses.dataclass(frozen=True)
class Push:
    """A push of remote configuration for a channel, and whether the tracer acknowledged it.

    `at` and `seconds` (until the acknowledgement, or the end of the wait) count from
    the start of the process and of the push.
    """

    probe: str
    channel: str
    version: int
    acknowledged: bool
    at: float
    seconds: float
    undo: bool = False


@dataclasses.dataclass(frozen=True)
class Soak:
    """A burst of plain and attack requests: answers by status, errors by kind, alive or not.

    `benign` is the status of one plain request after the burst, None without an answer.
    """

    sent: int
    statuses: Mapping[str, int]
    errors: Mapping[str, int]
    benign: int | None
    alive: bool
    seconds: float


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

    `purpose` is `probe`, `outside`, `soak` or `count`; `repeat` counts from 0. `exit_code` is
    negative for a signal that killed the process, None where it lived until it was stopped.
    `failed` and `detail` say why it gave no observations (broken start, timed out, agent failed),
    or that it ended early (crashed). A soak has a process of its own, of which only the counts are
    kept (`soak` filled, no exchanges, no agent requests); where it did not start, `soak` is None.
    `traced` is False where the setting switches tracing off, so that no span is due. One that is
    only run to count crashes has no exchanges and no agent requests; `counted` is its subject.
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
    pushes: tuple[Push, ...] = ()
    soak: Soak | None = None
    traced: bool = True
    counted: str = ""


@dataclasses.dataclass(frozen=True)
class Cost:
    """The cost of a phase of a run: how many times, seconds, and seconds of CPU time, in all.

    Phases that run at the same time have their seconds each, so that these add up to more than a
    run took.
    """

    phase: str
    count: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        """Return the sum of two costs of one phase."""
        return Cost(
            self.phase,
            self.count + other.count,
            self.seconds + other.seconds,
            self.cpu_seconds + other.cpu_seconds,
        )


@dataclasses.dataclass(frozen=True)
class CellCapture:
    """A whole run of a cell. `failed` and `detail` are set where no process can be judged.

    `isolation` says what kept the cell from reaching beyond loopback, in a few words. `image` is
    the digest of the image that it ran in and `engine` the container engine's name, "" where it ran
    on the machine itself. `services` are the back ends that it could reach.
    `isolated` is whether the cell was kept from the network, and `not_isolated` are the parts of
    the machine that it was not kept from, as `PARTS` names them. `costs` are what its phases took.
    """

    cell: str
    key: str
    identity: Identity | None = None
    lock: tuple[str, ...] = ()
    processes: tuple[ProcessCapture, ...] = ()
    started: str = ""
    seconds: float = 0.0
    failed: Reason | None = None
    detail: str = ""
    isolation: str = ""
    image: str = ""
    engine: str = ""
    services: tuple[Backend, ...] = ()
    isolated: bool = True
    not_isolated: tuple[str, ...] = ()
    costs: tuple[Cost, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, which share objects with the capture: do not change them."""
        plain: dict[str, Any] = _plain(self)
        return plain

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CellCapture:
        """Return the capture that `to_json` wrote."""
        identity = data["identity"]
        return cls(
            **{
                **data,
                "identity": Identity(**identity) if identity else None,
                "lock": tuple(data["lock"]),
                "services": tuple(map(Backend.parse, data.get("services", ()))),
                "processes": tuple(_read_process(item) for item in data["processes"]),
                "failed": Reason(data["failed"]) if data["failed"] else None,
                "isolated": _is_isolated(data),
                "not_isolated": _not_isolated(data),
                "costs": tuple(Cost(**item) for item in data.get("costs", ())),
            }
        )


def _is_isolated(data: Mapping[str, Any]) -> bool:
    """Return whether a cell was isolated; older files have only the description."""
    description = str(data.get("isolation", ""))
    return bool(data.get("isolated", not description.startswith(UNISOLATED)))


def _not_isolated(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a cell was not kept from; older ones on the machine itself saw all but the
    network.
    """
    if "not_isolated" in data:
        return tuple(map(str, data["not_isolated"]))
    return () if data.get("engine") else PARTS[_is_isolated(data) :]


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value of a capture
    """Return dataclasses as dictionaries, without the copies that `asdict` makes."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Backend):
        return str(value)
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return {field.name: _plain(getattr(value, field.name)) for field in fields}
    return value


def _read_process(data: Mapping[str, Any]) -> ProcessCapture:
    return ProcessCapture(
        **{
            **data,
            "exchanges": tuple(_read_exchange(item) for item in data["exchanges"]),
            "agent": tuple(AgentRequest(**item) for item in data["agent"]),
            "pushes": tuple(Push(**item) for item in data.get("pushes", ())),
            "soak": Soak(**data["soak"]) if data.get("soak") else None,
            "failed": Reason(data["failed"]) if data["failed"] else None,
        }
    )


def _read_exchange(data: Mapping[str, Any]) -> Exchange:
    follow_up = data.get("follow_up")
    return Exchange(**{**data, "follow_up": FollowUp(**follow_up) if follow_up else None})


_TRACER = "ddtrace=="
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclasses.dataclass(frozen=True)
class CellLocation:
    """The environment that a cell ran in, for reports.

    `engine` is the container engine's name and `image` the image's digest, "" for this machine.
    `python` is the full version and `build` all of `sys.version`; `bits` is the size of a pointer;
    `isolation` describes in a few words what kept the cell from the network. `tracer` are the
    sha256 digests of the tracer's artifact in the lock, `not_isolated` what the cell was not kept
    from.
    """

    engine: str
    image: str
    os: str
    machine: str
    bits: int
    libc: str
    python: str
    build: str
    isolation: str
    tracer: tuple[str, ...] = ()
    isolated: bool = True
    not_isolated: tuple[str, ...] = ()

    @classmethod
    def of(cls, capture: CellCapture) -> CellLocation | None:
        """Return the location of a cell, None for a capture without identity."""
        identity = capture.identity
        if identity is None:
            return None
        return cls(
            engine=capture.engine,
            image=capture.image,
            os=identity.os,
            machine=identity.machine,
            bits=identity.bits,
            libc=identity.libc,
            python=identity.python,
            build=identity.build,
            isolation=capture.isolation,
            tracer=_tracer_digests(capture.lock),
            isolated=capture.isolated,
            not_isolated=capture.not_isolated,
        )

    def __str__(self) -> str:
        image = f", image {self.image}" if self.image else ""
        build = " ".join(self.build.split())
        return (
            f"{self.engine or 'this machine'}{image}: {self.os} {self.machine}, {self.bits} bits,"
            f" {self.libc}, CPython {self.python} ({build})"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the location as plain JSON values."""
        lists = {"tracer": list(self.tracer), "not_isolated": list(self.not_isolated)}
        return {**dataclasses.asdict(self), **lists}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CellLocation:
        """Return the location that `to_json` wrote; raise TypeError for anything else."""
        values = {
            "tracer": tuple(data.get("tracer", ())),
            "isolated": _is_isolated(data),
            "not_isolated": _not_isolated(data),
        }
        return cls(**{**data, **values})


def _tracer_digests(lock: Iterable[str]) -> tuple[str, ...]:
    line = next((line for line in lock if line.startswith(_TRACER)), "")
    return tuple(_HASH.findall(line))
