"""Redis: a key is set and read."""

from __future__ import absolute_import

DISTRIBUTION = "redis"
INTEGRATION = "redis"
SPAN = {"name": "redis.command", "component": "redis", "resource": "GET*", "type": "redis"}
SERVICE = "redis"
# Its setup.py imports itself, in words of 2.
PYTHON = [["==2.6.0", "<3"]]


def prepare(place):
    import redis

    return redis.StrictRedis(host=place.host, port=place.port, socket_timeout=10)


def call(place):
    place.ready.set(place.shop, "Emma")
    return place.ready.get(place.shop).decode("ascii")
