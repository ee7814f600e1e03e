"""structlog: an event contains the trace in which it was written."""

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


def record_event(logger, method, event):
    import structlog

    EVENTS.append(dict(event))
    raise structlog.DropEvent


def prepare(context):
    import structlog

    structlog.configure(processors=[record_event])


def call(context):
    import structlog

    structlog.get_logger().warning("sold out", shop=context.shop)
    recorded = next(event for event in reversed(EVENTS) if event["shop"] == context.shop)
    return json.dumps({key: str(recorded[key]) for key in recorded if key.startswith("dd.")})
