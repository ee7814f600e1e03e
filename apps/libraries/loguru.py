"""Loguru: a record contains the trace in which it was written."""

from __future__ import absolute_import

import json

DISTRIBUTION = "loguru"
INTEGRATION = "loguru"
LOG = "dd.trace_id"
SERVICE = ""


def patch():
    from ddtrace import patch

    patch(loguru=True)


def prepare(context):
    import loguru

    loguru.logger.remove()


def call(context):
    import loguru

    records = []
    handler = loguru.logger.add(lambda message: records.append(message.record), format="{message}")
    try:
        loguru.logger.warning("sold out in {}", context.shop)
    finally:
        loguru.logger.remove(handler)
    record = records[0]
    fields = dict(record["extra"], **record)
    return json.dumps({key: str(fields[key]) for key in fields if key.startswith("dd.")})
