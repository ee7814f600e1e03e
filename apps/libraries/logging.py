"""The standard library's logging: a record contains the trace in which it was written."""

from __future__ import absolute_import

import json

DISTRIBUTION = ""
INTEGRATION = "logging"
LOG = "dd.trace_id"
SERVICE = ""


def patch():
    from ddtrace import patch

    patch(logging=True)


def call(context):
    import logging

    records = []

    class Shelf(logging.Handler):
        def emit(self, record):
            records.append(record)

    logger = logging.getLogger("bookshop." + context.shop)
    handler = Shelf()
    logger.addHandler(handler)
    try:
        logger.warning("sold out in %s", context.shop)
    finally:
        logger.removeHandler(handler)
    fields = vars(records[0])
    return json.dumps({key: str(fields[key]) for key in fields if key.startswith("dd.")})
