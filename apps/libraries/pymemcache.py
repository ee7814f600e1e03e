"""Pymemcache: a key is set and read."""

from __future__ import absolute_import

DISTRIBUTION = "pymemcache"
INTEGRATION = "pymemcache"
SPAN = {"name": "memcached.*", "component": "pymemcache"}
SERVICE = "memcached"


def prepare(place):
    from pymemcache.client.base import Client  # noqa: F401


def call(place):
    from pymemcache.client.base import Client

    client = Client((place.host, place.port), timeout=10)
    try:
        client.set(place.shop, b"Emma")
        return client.get(place.shop).decode("ascii")
    finally:
        client.close()
