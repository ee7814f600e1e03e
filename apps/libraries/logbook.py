"""Logbook: a record tells of the trace that it was written in."""

from __future__ import absolute_import

import json

DISTRIBUTION = "logbook"
INTEGRATION = "logbook"
LOG = "dd.trace_id"
SERVICE = ""


def patch():
    from ddtrace import patch

    patch(logbook=True)


def prepare(place):
    import logbook  # noqa: F401


def call(place):
    import logbook

    handler = logbook.TestHandler()
    with handler.applicationbound():
        logbook.Logger("bookshop").warning("sold out in " + place.shop)
    told = handler.records[0].extra
    return json.dumps({key: str(told[key]) for key in told if key.startswith("dd.")})
