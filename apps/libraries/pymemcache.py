"""Pymemcache: a key is set and read."""

from __future__ import absolute_import

DISTRIBUTION = "pymemcache"
INTEGRATION = "pymemcache"
SPAN = {"name": "memcached.*", "component": "pymemcache"}
SERVICE = "memcached"


def prepare(context):
    from pymemcache.client.base import Client  # noqa: F401


def call(context):
    from pymemcache.client.base import Client

    client = Client((context.host, context.port), timeout=10)
    try:
        client.set(context.shop, b"Emma")
        return client.get(context.shop).decode("ascii")
    finally:
        client.close()
