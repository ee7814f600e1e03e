"""Observations of a capture: what each request caused, and whether the tracer was alive.

Spans of recorded requests, from a live agent or from a capture on disk, are grouped by trace; an
exchange is recognized by the unique segment of its path. All functions are pure. A cell's process
uses them to decide on another attempt, the judge to judge.
Telemetry: https://github.com/DataDog/instrumentation-telemetry-api-docs
"""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.version import InvalidVersion, Version

from matrix.agent.payloads import TEST_PATH, TRACE_PATHS, to_json, unpack
from matrix.model.capture import AgentRequest, Exchange, ProcessCapture
from matrix.model.probe import Observation, Span, Stimulus
from matrix.model.reason import Reason

SHOP_SEGMENT = re.compile(r"\bs[0-9a-f]{15}\b")
"""The unique first segment of the path of every probe request."""
_JOB = "job_id"
"""The tag with the name of a job, which is a trace of its own."""
_NAMING_TAGS = ("http.url", "http.route", _JOB)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SPAN_TEXTS = ("name", "service", "resource", "type")
_SPAN_NUMBERS = ("trace_id", "span_id", "parent_id", "error", "start", "duration")


def spans_in(request: AgentRequest) -> Iterator[Span]:
    """Yield the spans in the request, none where it is not a request with traces or tests."""
    if request.path.endswith(TEST_PATH):
        yield from _test_spans(_as_mapping(request.body))
    elif request.path in TRACE_PATHS and isinstance(request.body, list):
        for trace in request.body:
            for span in trace:
                yield _parse_span(span)


def _test_spans(body: Mapping[str, Any]) -> Iterator[Span]:
    """Yield the spans of test events, with the metadata of all events and of their type."""
    metadata, events = _as_mapping(body.get("metadata")), body.get("events")
    for event in map(_as_mapping, events if isinstance(events, list) else ()):
        content = _as_mapping(event.get("content"))
        # Suites and sessions are no spans.
        if content.get("trace_id") and content.get("span_id"):
            types = ("*", str(event.get("type")))
            parts = [*map(metadata.get, types), content.get("meta")]
            meta = {key: value for part in map(_as_mapping, parts) for key, value in part.items()}
            yield _parse_span({**content, "meta": meta})


def _parse_span(span: Mapping[str, Any]) -> Span:
    return Span(
        name=_as_text(span.get("name")),
        service=_as_text(span.get("service")),
        resource=_as_text(span.get("resource")),
        type=_as_text(span.get("type")),
        trace_id=_as_integer(span.get("trace_id")),
        span_id=_as_integer(span.get("span_id")),
        parent_id=_as_integer(span.get("parent_id")),
        error=_as_integer(span.get("error")),
        start=_as_integer(span.get("start")),
        duration=_as_integer(span.get("duration")),
        meta={key: _as_text(value) for key, value in _as_mapping(span.get("meta")).items()},
        metrics={
            key: value
            for key, value in _as_mapping(span.get("metrics")).items()
            if isinstance(value, int | float)
        },
        meta_struct={
            key: _decode_msgpack(value)
            for key, value in _as_mapping(span.get("meta_struct")).items()
        },
    )


def _as_text(value: Any) -> str:  # noqa: ANN401
    """Return a string as it is, bytes as UTF-8, nothing as "", and any other value as JSON.

    On 2.7, some tracers send the strings of an app as bytes.
    """
    if isinstance(value, str):
        return value
    if _is_bytes(value):
        return base64.b64decode(value["base64"]).decode("utf-8", "backslashreplace")
    return "" if value is None else json.dumps(value, sort_keys=True, default=str)


def _as_integer(value: Any) -> int:  # noqa: ANN401
    return value if isinstance(value, int) else 0


def _is_bytes(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, Mapping) and set(value) == {"base64"}


def _as_mapping(value: Any) -> Mapping[str, Any]:  # noqa: ANN401
    return value if isinstance(value, Mapping) else {}


def _decode_msgpack(value: Any) -> Any:  # noqa: ANN401
    """Return the content of a `meta_struct` value in msgpack, or the value unchanged."""
    if not _is_bytes(value):
        return value
    try:
        return to_json(unpack(base64.b64decode(value["base64"])))
    except ValueError:
        return value


class Traces:
    """All spans of some agent requests; `update` adds more."""

    def __init__(self, requests: Sequence[AgentRequest] = ()) -> None:
        """Start with `requests`."""
        self._request_count = 0
        self._by_trace: dict[int, dict[int, Span]] = {}
        self._by_shop: dict[str, list[Span]] = {}
        self.update(requests)

    def update(self, requests: Sequence[AgentRequest]) -> None:
        """Add the new ones of `requests`, a list that only grows at its end."""
        for request in requests[self._request_count :]:
            for span in spans_in(request):
                self._add(span)
        self._request_count = max(self._request_count, len(requests))

    def root_of(self, exchange: Exchange) -> Span | None:
        """Return the web root span of the exchange, None where no span of it arrived (yet)."""
        # The client span of an outgoing call and the span of a follow-up request contain the
        # segment too, but have another path or method.
        spans = (span for span in self._by_shop.get(exchange.shop, ()) if _is_of(span, exchange))
        roots = {id(root): root for root in map(self._top, spans)}.values()
        return min(roots, key=lambda root: (root.type != "web", root.start), default=None)

    def trace_of(self, root: Span | None) -> tuple[Span, ...]:
        """Return the root and all spans below it, the root first."""
        if root is None:
            return ()
        spans = self._by_trace[root.trace_id].values()
        return (root, *(s for s in spans if s is not root and self._top(s) is root))

    def elsewhere(self, exchange: Exchange, root: Span | None) -> tuple[Span, ...]:
        """Return the spans of other traces whose resource, or job, has the exchange's segment."""
        return tuple(
            span
            for span in self._by_shop.get(exchange.shop, ())
            if (root is None or span.trace_id != root.trace_id)
            and exchange.shop in f"{span.resource} {span.meta.get(_JOB, '')}"
        )

    def _add(self, span: Span) -> None:
        self._by_trace.setdefault(span.trace_id, {})[span.span_id] = span
        for shop in set(_shop_segments(span)):
            self._by_shop.setdefault(shop, []).append(span)

    def _top(self, span: Span) -> Span:
        trace = self._by_trace[span.trace_id]
        visited = {span.span_id}
        while span.parent_id in trace and span.parent_id not in visited:
            span = trace[span.parent_id]
            visited.add(span.span_id)
        return span


def _shop_segments(span: Span) -> Iterable[str]:
    for text in (span.resource, *(span.meta.get(tag, "") for tag in _NAMING_TAGS)):
        yield from SHOP_SEGMENT.findall(text)


def _is_of(span: Span, exchange: Exchange) -> bool:
    method = span.meta.get("http.method")
    if method is not None and method != exchange.method:
        return False
    url = span.meta.get("http.url")
    if url is None:
        return True
    # http.url has no query string before 1.6, and that of a gateway has no scheme in old releases.
    whole = url if _SCHEME.match(url) or url.startswith("/") else f"//{url}"
    return _path_of(whole) == _path_of(exchange.path)


def _path_of(url: str) -> str:
    """Return the decoded path without a slash at its end, which some routers remove (Falcon)."""
    return unquote(urlsplit(url).path).rstrip("/")


_OK = 200
_SERVER_ERROR = 500


def telemetry_messages(requests: Sequence[AgentRequest]) -> tuple[Mapping[str, Any], ...]:
    """Return the messages in order, each with `request_type` and `payload`, also from batches."""
    return tuple(_iterate_messages(requests))


def _iterate_messages(requests: Sequence[AgentRequest]) -> Iterator[Mapping[str, Any]]:
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


def observe(
    exchange: Exchange, traces: Traces, telemetry: Sequence[Mapping[str, Any]]
) -> Observation:
    """Return the observation of one exchange."""
    root = traces.root_of(exchange)
    return Observation(
        exchange, root, traces.trace_of(root), telemetry, traces.elsewhere(exchange, root)
    )


def observations_of(process: ProcessCapture) -> tuple[Observation, ...]:
    """Return the observations of all exchanges of the process, in their order."""
    traces = Traces(process.agent)
    telemetry = telemetry_messages(process.agent)
    return tuple(observe(exchange, traces, telemetry) for exchange in process.exchanges)


def control_problem(
    process: ProcessCapture, observation: Observation, stimulus: Stimulus
) -> str | None:
    """Return the reason why a request is not usable as a negative control, else None.

    A broken app or a stopped tracer shows nothing either. So the app must respond as it does
    without the feature, and where tracing is on the request must have left its span. The reason is
    a clause whose subject is the request.
    """
    problem = status_problem(stimulus, observation.exchange.status)
    if problem is None and process.traced and observation.root is None:
        return "left no span"
    return problem


def status_problem(stimulus: Stimulus, status: int | None) -> str | None:
    """Return, as a clause, why a status is not that of the app's own answer, None where it is."""
    if status is None:
        return "was not answered"
    if stimulus.plain is None and status >= _SERVER_ERROR:
        return f"was answered {status}"
    if stimulus.plain is not None and status != stimulus.plain:
        return f"was answered {status}, not {stimulus.plain}"
    return None


@dataclasses.dataclass(frozen=True)
class Liveness:
    """The state of the tracer in a process: alive where `reason` is None.

    `detail` explains the reason, or has the version that the tracer reported. `untraced` is set
    where the app answers and no span of it arrives.
    """

    reason: Reason | None
    detail: str
    untraced: bool = False

    @property
    def alive(self) -> bool:
        """True where the process may be judged."""
        return self.reason is None


def liveness(process: ProcessCapture, version: str) -> Liveness:
    """Return whether the tracer under test, `version`, worked in the process.

    This gate comes before any judgement, as an app answers 200 even where its tracer failed to
    start. It requires a response and a web root span for the warm-up request, and that the tracer
    reported this version and no other. A process that ended later was alive before: its earlier
    observations count, and `process.exit_code` has the rest. A soak is as alive as its process.
    Where tracing is off the app must respond with its own page. Some releases report nothing then;
    that the tracer was loaded is known from the installation and from its other processes.
    """
    if process.soak is not None:
        return Liveness(process.failed, process.detail or f"{process.soak.sent} requests of a soak")
    failed = process.failed or Reason.BROKEN_START
    warm_up = next((item for item in process.exchanges if not item.probe), None)
    if warm_up is None:
        return Liveness(failed, process.detail or "never answered")
    if warm_up.status != _OK:
        result = warm_up.error or f"status {warm_up.status}"
        return Liveness(failed, process.detail or f"the first plain request got {result}")
    if process.traced and Traces(process.agent).root_of(warm_up) is None:
        detail = "the app answers, but no span of a plain request arrives"
        return Liveness(failed, process.detail or detail, untraced=True)
    if not process.traced and warm_up.shop not in warm_up.body:
        detail = "the first plain request was not answered with the app's own page"
        return Liveness(failed, detail)
    return _compare_versions(process, version)


def _compare_versions(process: ProcessCapture, version: str) -> Liveness:
    reported = reported_versions(process.agent)
    others = sorted(text for text in reported if not same_version(text, version))
    if others:
        detail = f"the tracer reports version {others[0]}, not {version}"
        return Liveness(Reason.WRONG_INSTALL, detail)
    if reported:
        return Liveness(None, f"tracer version {min(reported)} reported")
    if process.traced:
        return Liveness(Reason.BROKEN_START, "spans arrive, but no tracer version is reported")
    return Liveness(None, "the app answers, untraced")


def reported_versions(requests: Sequence[AgentRequest]) -> frozenset[str]:
    """Return the versions that the tracer reported, in its own spelling."""
    return frozenset(_iterate_versions(requests))


def _iterate_versions(requests: Sequence[AgentRequest]) -> Iterator[str]:
    for request in requests:
        body = request.body if isinstance(request.body, dict) else {}
        for text in (
            request.headers.get("datadog-meta-tracer-version"),
            _nested_value(body, "application", "tracer_version"),
            _nested_value(body, "client", "client_tracer", "tracer_version"),
        ):
            if isinstance(text, str) and text:
                yield text


def _nested_value(value: Any, *keys: str) -> Any:  # noqa: ANN401 - walks any JSON value
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def same_version(reported: str, version: str) -> bool:
    """Return whether the public versions are equal: `1.7.0-rc1` and `1.7.0rc1+gabc` are."""
    try:
        return Version(reported).public == Version(version).public
    except InvalidVersion:
        return reported == version
