"""The gate before any judgement: the right install, and a tracer that was seen to live.

An app answers 200 while its tracer failed to start; what then "does not show" says nothing of the
capability. A failed gate is a broken install or a broken start, never a missing capability.

A process as the judge sees it: what each of its requests caused, and whether it was alive.
"""

from __future__ import annotations

import dataclasses
import re

from packaging.version import InvalidVersion, Version

from matrix.agent.observations import Liveness, liveness, sightings
from matrix.model.capture import CellCapture, Identity, ProcessCapture
from matrix.model.cell import Cell
from matrix.model.probe import Observation
from matrix.model.reason import Reason
from matrix.probes.integrations import distribution_of

__all__ = [
    "DecodedProcess",
    "Failure",
    "died",
    "has_died",
    "install_failure",
    "one_line",
    "see",
    "sentence",
    "start_failure",
]


@dataclasses.dataclass(frozen=True)
class DecodedProcess:
    """One process of the app, decoded once."""

    process: ProcessCapture
    liveness: Liveness
    sightings: tuple[Observation, ...]

    def of(self, probe: str, channel: str, *, control: bool) -> list[Observation]:
        """Return what the requests of a channel caused, or those of its negative control."""
        return [
            item
            for item in self.sightings
            if item.exchange.probe == probe
            and item.exchange.channel == channel
            and item.exchange.control == control
        ]


def see(process: ProcessCapture, version: str) -> DecodedProcess:
    """Return the process as seen by a judge who expects the tracer `version`."""
    return DecodedProcess(process, liveness(process, version), sightings(process))


_LONGEST = 300
_ERROR = re.compile(r"[A-Za-z_.]*(Error|Exception|Exit)\b.*:")


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why something gives no answer: the reason, and a sentence that says what was seen."""

    reason: Reason
    said: str


def install_failure(capture: CellCapture, cell: Cell) -> Failure | None:
    """Return why the cell is not what its id says, or None."""
    if capture.identity is None:
        return Failure(Reason.BROKEN_START, "The cell did not tell what is installed in it.")
    for what, found, wanted in _expected(capture.identity, cell):
        if not _same(found, wanted):
            said = f"{what} is {found or 'missing'} where {wanted} was asked for."
            return Failure(Reason.WRONG_INSTALL, said)
    return None


def start_failure(seen: DecodedProcess) -> Failure | None:
    """Return why the process cannot be judged, or None where its tracer was seen to live."""
    if seen.liveness.reason is None:
        return None
    last_words = _last_line(seen.process.log) if seen.process.boot_seconds is None else ""
    tail = f" Its last words: {sentence(last_words)}" if last_words else ""
    return Failure(seen.liveness.reason, sentence(seen.liveness.detail) + tail)


def has_died(process: ProcessCapture) -> bool:
    """Return whether the process ended before it was stopped."""
    return process.failed is Reason.CRASHED or process.exit_code is not None


def died(process: ProcessCapture) -> str:
    """Return the sentence that says how the process ended by itself."""
    code = process.exit_code
    if code is None:
        return sentence(process.detail or "the process died")
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"The process ended by itself with {how}."


def one_line(text: str) -> str:
    """Return the text on one line, with the end of one that is too long."""
    flat = " ".join(text.split())
    return flat if len(flat) <= _LONGEST else f"... {flat[-_LONGEST:]}"


def sentence(text: str) -> str:
    """Return a text as a sentence."""
    flat = one_line(text) or "nothing was said"
    return f"{flat[:1].upper()}{flat[1:]}{'' if flat[-1] in '.!?' else '.'}"


def _last_line(log: str) -> str:
    """Return the line that a traceback ends with, or whatever was said last."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR.match(line)]
    return (errors or lines or [""])[-1]


def _expected(identity: Identity, cell: Cell) -> list[tuple[str, str, str]]:
    python = ".".join(identity.python.split(".")[:2])
    expected = [
        ("CPython", python, cell.python),
        ("ddtrace", identity.installed.get("ddtrace", ""), cell.ddtrace),
    ]
    distribution = distribution_of(cell.framework)
    if distribution in identity.installed:
        installed = identity.installed[distribution]
        expected.append((distribution, installed, cell.framework_version))
    return expected


def _same(found: str, wanted: str) -> bool:
    try:
        return Version(found).public == Version(wanted).public
    except InvalidVersion:
        return found == wanted
