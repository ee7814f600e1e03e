"""Builders of spans, exchanges and observations; every field has a neutral default."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import msgpack  # type: ignore[import-untyped]

from matrix.model.capture import AgentRequest, Exchange, ProcessCapture
from matrix.model.probe import Observation, Span

SHOP = "s0123456789abcde"


def span(**fields: Any) -> Span:  # noqa: ANN401
    defaults: dict[str, Any] = {
        "name": "flask.request",
        "service": "bookshop",
        "resource": "GET /<shop>/",
        "type": "web",
        "trace_id": 1,
        "span_id": 1,
        "parent_id": 0,
        "error": 0,
        "start": 1,
        "duration": 1,
        "meta": {},
        "metrics": {},
        "meta_struct": {},
    }
    return Span(**{**defaults, **fields})


def exchange(**fields: Any) -> Exchange:  # noqa: ANN401
    defaults: dict[str, Any] = {
        "probe": "p",
        "channel": "c",
        "stimulus": "s",
        "attempt": 0,
        "shop": SHOP,
        "at": 1.0,
        "method": "GET",
        "path": f"/{SHOP}/",
        "request_headers": {},
        "request_body": "",
        "status": 200,
        "headers": {},
        "body": "",
    }
    return Exchange(**{**defaults, **fields})


def observed(
    root: Span | None = None,
    *below: Span,
    telemetry: Sequence[Mapping[str, Any]] = (),
    **fields: Any,  # noqa: ANN401
) -> Observation:
    spans = (root, *below) if root else below
    return Observation(exchange(**fields), root, spans, telemetry)


def traces(*spans: Span, version: str = "1.9.0") -> AgentRequest:
    """Return a request of a tracer with these spans, as the agent records it."""
    encoded = [dataclasses.asdict(item) for item in spans]
    for item in encoded:
        item["meta_struct"] = {
            key: {"base64": base64.b64encode(msgpack.packb(value)).decode()}
            for key, value in item["meta_struct"].items()
        }
    headers = {"datadog-meta-tracer-version": version} if version else {}
    return AgentRequest(1.0, "PUT", "/v0.4/traces", headers, [[item] for item in encoded])


def telemetry(body: Mapping[str, Any]) -> AgentRequest:
    return AgentRequest(1.0, "POST", "/telemetry/proxy/api/v2/apmtelemetry", {}, dict(body))


def process(
    exchanges: Sequence[Exchange] = (),
    agent: Sequence[AgentRequest] = (),
    **fields: Any,  # noqa: ANN401
) -> ProcessCapture:
    defaults: dict[str, Any] = {
        "setting": "appsec",
        "purpose": "probe",
        "repeat": 0,
        "environment": {},
        "boot_seconds": 1.0,
        "seconds": 2.0,
        "exit_code": None,
        "log": "",
    }
    return ProcessCapture(
        **{**defaults, "exchanges": tuple(exchanges), "agent": tuple(agent), **fields}
    )
