"""Loguru: a record tells of the trace that it was written in."""

from __future__ import absolute_import

import json

DISTRIBUTION = "loguru"
INTEGRATION = "loguru"
LOG = "dd.trace_id"
SERVICE = ""


def patch():
    from ddtrace import patch

    patch(loguru=True)


def prepare(place):
    import loguru

    loguru.logger.remove()


def call(place):
    import loguru

    records = []
    handler = loguru.logger.add(lambda message: records.append(message.record), format="{message}")
    try:
        loguru.logger.warning("sold out in {}", place.shop)
    finally:
        loguru.logger.remove(handler)
    record = records[0]
    told = dict(record["extra"], **record)
    return json.dumps({key: str(told[key]) for key in told if key.startswith("dd.")})
