"""Probe of trigger types: an attack is detected in each kind of event that starts a function.

The place chooses the event by a header of the request, which it does not pass on. Elsewhere it
means nothing.
"""

from __future__ import annotations

import dataclasses

from matrix.model.probe import Channel, Probe
from matrix.probes.capabilities.threat_detection import SCANNER

EVENT_HEADER = "X-Bookshop-Event"
"""The header that names the event: fixtures/places/lambda_emulator/front.py reads it."""
KINDS = ("rest", "http", "load-balancer", "url")


def _channel(kind: str) -> Channel:
    headers = (*SCANNER.headers, (EVENT_HEADER, kind))
    stimulus = dataclasses.replace(SCANNER, name=f"scanner-header-{kind}", headers=headers)
    return Channel(name=kind, setting="appsec", stimuli=(stimulus,))


PROBE = Probe(
    name="trigger-types",
    title="Attacks are detected in events of this type",
    channels=tuple(map(_channel, KINDS)),
)
