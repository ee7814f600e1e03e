"""Logbook: a record contains the trace in which it was written."""

from __future__ import absolute_import

import json

DISTRIBUTION = "logbook"
INTEGRATION = "logbook"
LOG = "dd.trace_id"
SERVICE = ""


def patch():
    from ddtrace import patch

    patch(logbook=True)


def prepare(context):
    import logbook  # noqa: F401


def call(context):
    import logbook

    handler = logbook.TestHandler()
    with handler.applicationbound():
        logbook.Logger("bookshop").warning("sold out in " + context.shop)
    extra = handler.records[0].extra
    return json.dumps({key: str(extra[key]) for key in extra if key.startswith("dd.")})
