"""The gate before any judgement: the right install, and a tracer that was seen to live.

An app answers 200 while its tracer failed to start; what then "does not show" says nothing of the
capability. A failed gate is a broken install or a broken start, never a missing capability.
"""

from __future__ import annotations

import dataclasses
import re

from matrix.agent.observations import Liveness, liveness, observations_of, same_version
from matrix.model.capture import CellCapture, Identity, ProcessCapture
from matrix.model.cell import Cell
from matrix.model.fact import Fact, FactKind, fact
from matrix.model.probe import Observation
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed
from matrix.probes.integrations import distribution_name

_ERROR = re.compile(r"[A-Za-z_.]*(Error|Exception|Exit)\b.*:")


@dataclasses.dataclass(frozen=True)
class DecodedProcess:
    """One process of the app: what each of its requests caused, and whether it was alive."""

    process: ProcessCapture
    liveness: Liveness
    observations: tuple[Observation, ...]

    def of(self, probe: str, channel: str, *, control: bool) -> list[Observation]:
        """Return what the requests of a channel caused, or those of its negative control."""
        return [
            observation
            for observation in self.observations
            if observation.exchange.probe == probe
            and observation.exchange.channel == channel
            and observation.exchange.control == control
        ]


@dataclasses.dataclass(frozen=True)
class Failure:
    """The reason why something cannot be judged, and the facts that tell it."""

    reason: Reason
    facts: tuple[Fact, ...]


def unknown(finding: Finding, failure: Failure) -> Finding:
    """Return a finding that cannot be judged, for this failure."""
    return dataclasses.replace(
        finding, shows=Observed.UNKNOWN, reason=failure.reason, facts=failure.facts
    )


def decode(process: ProcessCapture, version: str) -> DecodedProcess:
    """Return the process decoded, for a judge who expects the tracer `version`."""
    return DecodedProcess(process, liveness(process, version), observations_of(process))


def install_failure(capture: CellCapture, cell: Cell) -> Failure | None:
    """Return why the cell is not what its id says, or None."""
    if capture.identity is None:
        return Failure(Reason.BROKEN_START, (fact(FactKind.NO_IDENTITY),))
    for name, installed, requested in _expected(capture.identity, cell):
        if not same_version(installed, requested):
            wrong = fact(
                FactKind.WRONG_INSTALL, name=name, installed=installed, requested=requested
            )
            return Failure(Reason.WRONG_INSTALL, (wrong,))
    return None


def start_failure(decoded: DecodedProcess) -> Failure | None:
    """Return why the process cannot be judged, or None where its tracer was seen to live."""
    if decoded.liveness.reason is None:
        return None
    booted = decoded.process.boot_seconds is not None
    last_words = "" if booted else _last_line(decoded.process.log)
    not_started = fact(FactKind.NOT_STARTED, detail=decoded.liveness.detail, last_words=last_words)
    return Failure(decoded.liveness.reason, (not_started,))


def has_died(process: ProcessCapture) -> bool:
    """Return whether the process ended before it was stopped."""
    return process.failed is Reason.CRASHED or process.exit_code is not None


def death(process: ProcessCapture) -> Fact:
    """Return how the process ended by itself."""
    if process.exit_code is None:
        return fact(FactKind.PROCESS_DIED, detail=process.detail)
    return fact(FactKind.PROCESS_DIED, code=process.exit_code)


def _last_line(log: str) -> str:
    """Return the line that a traceback ends with, or the last line of all."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR.match(line)]
    return (errors or lines or [""])[-1]


def _expected(identity: Identity, cell: Cell) -> list[tuple[str, str, str]]:
    """Return what the cell's id promises: name, version inside of the cell, version requested."""
    python = ".".join(identity.python.split(".")[:2])
    expected = [
        ("CPython", python, cell.python),
        ("ddtrace", identity.installed.get("ddtrace", ""), cell.ddtrace),
    ]
    distribution = distribution_name(cell.framework, cell.framework_version)
    if distribution in identity.installed:
        installed = identity.installed[distribution]
        expected.append((distribution, installed, cell.framework_version))
    return expected
