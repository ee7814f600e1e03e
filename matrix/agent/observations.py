"""Sightings: each exchange of a process with all that it caused.

Telemetry messages out of recorded agent requests.

Format: https://github.com/DataDog/instrumentation-telemetry-api-docs

What a negative control must be like before it can be said to show nothing.

The gate before any judgement: an app answers 200 while its tracer failed to start.

From a capture to sightings: what each request caused, and whether the tracer was alive.

Pure: the runner uses it to see whether another attempt is due, the judge to judge again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from packaging.version import InvalidVersion, Version

from matrix.agent.traces import Traces
from matrix.model.capture import AgentRequest, Exchange, ProcessCapture
from matrix.model.probe import Observation, Stimulus
from matrix.model.reason import Reason

__all__ = [
    "Liveness",
    "Traces",
    "liveness",
    "reported_versions",
    "sighting_of",
    "sightings",
    "telemetry_messages",
    "why_no_control",
]


def telemetry_messages(requests: Sequence[AgentRequest]) -> tuple[Mapping[str, Any], ...]:
    """Return the messages in order, each with `request_type` and `payload`; batches unwrapped."""
    return tuple(_messages(requests))


def _messages(requests: Sequence[AgentRequest]) -> Iterator[Mapping[str, Any]]:
    for request in requests:
        if not request.path.endswith("/apmtelemetry") or not isinstance(request.body, dict):
            continue
        payload = request.body.get("payload")
        if request.body.get("request_type") == "message-batch" and isinstance(payload, list):
            for item in payload:
                if isinstance(item, dict):
                    # The parts of a batch share its envelope.
                    yield {**request.body, **item}
        else:
            yield request.body


def sighting_of(
    exchange: Exchange, traces: Traces, telemetry: Sequence[Mapping[str, Any]]
) -> Observation:
    """Return what `exchange` caused, as far as `traces` and `telemetry` tell."""
    root = traces.root_of(exchange)
    return Observation(
        exchange, root, traces.trace_of(root), telemetry, traces.elsewhere(exchange, root)
    )


def sightings(process: ProcessCapture) -> tuple[Observation, ...]:
    """Return the sightings of all exchanges of the process, in their order."""
    traces = Traces(process.agent)
    telemetry = telemetry_messages(process.agent)
    return tuple(sighting_of(exchange, traces, telemetry) for exchange in process.exchanges)


_SERVER_ERROR = 500


def why_no_control(
    process: ProcessCapture, sighting: Observation, stimulus: Stimulus
) -> str | None:
    """Return why the request tells nothing of the feature, in a clause; None where it does.

    An app that is broken shows nothing either, and so does a tracer that has stopped. Hence the app
    must answer as it does by itself, and where tracing is on the request must have left its span.
    """
    status = sighting.exchange.status
    if status is None:
        return "was not answered"
    if stimulus.plain is None and status >= _SERVER_ERROR:
        return f"was answered {status}"
    if stimulus.plain is not None and status != stimulus.plain:
        return f"was answered {status}, not {stimulus.plain}"
    if process.traced and sighting.root is None:
        return "left no span"
    return None


@dataclasses.dataclass(frozen=True)
class Liveness:
    """Alive where `reason` is None; `detail` says why not, or which version reported itself."""

    reason: Reason | None
    detail: str

    @property
    def alive(self) -> bool:
        """Whether the process may be judged."""
        return self.reason is None


def liveness(process: ProcessCapture, version: str) -> Liveness:
    """Return whether the tracer under test, `version`, was at work in the process.

    Demands an answer and a web root span for the warm-up request, and that the tracer reported
    this version of itself and no other. A process that died later was alive before: what it showed
    until then stands, and `process.exit_code` tells the rest. A soak is as alive as its process.
    Where tracing is off the app has to answer with its own page, and some releases report nothing:
    that the tracer is there is known from what is installed, and from the same start of the others.
    """
    if process.soak is not None:
        return Liveness(process.failed, process.detail or f"{process.soak.sent} requests of a soak")
    warm_up = next((item for item in process.exchanges if not item.probe), None)
    if warm_up is None:
        return Liveness(process.failed or Reason.BROKEN_START, process.detail or "never answered")
    if warm_up.status != 200:  # noqa: PLR2004 - HTTP's OK
        told = warm_up.error or f"status {warm_up.status}"
        detail = process.detail or f"the first plain request got {told}"
        return Liveness(process.failed or Reason.BROKEN_START, detail)
    if not process.traced:
        return _untraced(process, warm_up, version)
    return _tracing(
        process, warm_up_seen=Traces(process.agent).root_of(warm_up) is not None, version=version
    )


def _tracing(process: ProcessCapture, *, warm_up_seen: bool, version: str) -> Liveness:
    if not warm_up_seen:
        detail = process.detail or "the app answers, but no span of a plain request arrives"
        return Liveness(process.failed or Reason.BROKEN_START, detail)
    found = reported_versions(process.agent)
    if not found:
        return Liveness(Reason.BROKEN_START, "spans arrive, but no tracer version is reported")
    return _of_version(found, version)


def _untraced(process: ProcessCapture, warm_up: Exchange, version: str) -> Liveness:
    if warm_up.shop not in warm_up.body:
        detail = "the first plain request was not answered with the app's own page"
        return Liveness(process.failed or Reason.BROKEN_START, detail)
    found = reported_versions(process.agent)
    return _of_version(found, version) if found else Liveness(None, "the app answers, untraced")


def _of_version(found: frozenset[str], version: str) -> Liveness:
    wrong = sorted(text for text in found if not _same(text, version))
    if wrong:
        return Liveness(Reason.WRONG_INSTALL, f"the tracer says it is {wrong[0]}, not {version}")
    return Liveness(None, f"tracer version {min(found)} reported")


def reported_versions(requests: Sequence[AgentRequest]) -> frozenset[str]:
    """Return the versions that the tracer gave itself, in its own spelling."""
    return frozenset(_versions(requests))


def _versions(requests: Sequence[AgentRequest]) -> Iterator[str]:
    for request in requests:
        body = request.body if isinstance(request.body, dict) else {}
        for text in (
            request.headers.get("datadog-meta-tracer-version"),
            _inside(body, "application", "tracer_version"),
            _inside(body, "client", "client_tracer", "tracer_version"),
        ):
            if isinstance(text, str) and text:
                yield text


def _inside(value: Any, *keys: str) -> Any:  # noqa: ANN401 - walks any JSON value
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _same(reported: str, version: str) -> bool:
    """Compare as versions: `1.7.0-rc1` and `1.7.0rc1+gabc` both are 1.7.0rc1."""
    try:
        return Version(reported).public == Version(version).public
    except InvalidVersion:
        return reported == version
