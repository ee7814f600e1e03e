"""structlog: an event tells of the trace that it was written in."""

from __future__ import absolute_import

import json

DISTRIBUTION = "structlog"
INTEGRATION = "structlog"
LOG = "dd.trace_id"
SERVICE = ""
EVENTS = []


def patch():
    from ddtrace import patch

    patch(structlog=True)


def keep(logger, method, event):
    import structlog

    EVENTS.append(dict(event))
    raise structlog.DropEvent


def prepare(place):
    import structlog

    structlog.configure(processors=[keep])


def call(place):
    import structlog

    structlog.get_logger().warning("sold out", shop=place.shop)
    told = next(event for event in reversed(EVENTS) if event["shop"] == place.shop)
    return json.dumps({key: str(told[key]) for key in told if key.startswith("dd.")})
