"""Sightings: each exchange of a process with all that it caused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matrix.model.capture import Exchange, ProcessCapture
from matrix.model.probe import Sighting
from matrix.observing.telemetry import telemetry_messages
from matrix.observing.traces import Traces

__all__ = ["sighting_of", "sightings"]


def sighting_of(
    exchange: Exchange, traces: Traces, telemetry: Sequence[Mapping[str, Any]]
) -> Sighting:
    """Return what `exchange` caused, as far as `traces` and `telemetry` tell."""
    root = traces.root_of(exchange)
    return Sighting(
        exchange, root, traces.trace_of(root), telemetry, traces.elsewhere(exchange, root)
    )


def sightings(process: ProcessCapture) -> tuple[Sighting, ...]:
    """Return the sightings of all exchanges of the process, in their order."""
    traces = Traces(process.agent)
    telemetry = telemetry_messages(process.agent)
    return tuple(sighting_of(exchange, traces, telemetry) for exchange in process.exchanges)
