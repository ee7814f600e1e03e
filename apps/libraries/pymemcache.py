"""Pymemcache: a key is set and read, alone and with others; a text is no number."""

from __future__ import absolute_import

import contextlib

DISTRIBUTION = "pymemcache"
INTEGRATION = "pymemcache"
SPAN = {"name": "memcached.*", "component": "pymemcache"}
STATEMENT = {"resource": "set*", "without": "Emma"}
SERVICE = "memcached"


def prepare(context):
    from pymemcache.client.base import Client  # noqa: F401


def connect(context):
    from pymemcache.client.base import Client

    return contextlib.closing(Client((context.host, context.port), timeout=10))


def call(context):
    with connect(context) as client:
        client.set(context.shop, b"Emma")
        titles = [client.get(context.shop), client.get_many([context.shop])[context.shop]]
    return ", ".join(title.decode("ascii") for title in titles)


def fail(context):
    with connect(context) as client:
        client.set(context.shop, b"Emma")
        # The reply is awaited: by default, some releases do not wait for that of `incr`.
        client.incr(context.shop, 1, noreply=False)
