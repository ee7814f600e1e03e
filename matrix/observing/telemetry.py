"""Telemetry messages out of recorded agent requests.

Format: https://github.com/DataDog/instrumentation-telemetry-api-docs
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matrix.model.capture import AgentRequest

__all__ = ["telemetry_messages"]


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
