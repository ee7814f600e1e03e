"""Redis: a key is set and read."""

from __future__ import absolute_import

DISTRIBUTION = "redis"
SYNONYMS = [["redis-py", "redis"], ["redis-asyncio", "redis"]]
INTEGRATION = "redis"
SPAN = {"name": "redis.command", "component": "redis", "resource": "GET*", "type": "redis"}
SERVICE = "redis"
# Its setup.py imports the package, which is Python 2.
PYTHON = [["==2.6.0", "<3"]]


def prepare(context):
    import redis

    return redis.StrictRedis(host=context.host, port=context.port, socket_timeout=10)


def call(context):
    context.ready.set(context.shop, "Emma")
    return context.ready.get(context.shop).decode("ascii")
