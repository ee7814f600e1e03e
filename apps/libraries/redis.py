"""Redis: a key is set and read, alone, in a pipeline, and by asyncio; a text is no number."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "redis"
SYNONYMS = [["redis-py", "redis"], ["redis-asyncio", "redis"]]
INTEGRATION = "redis"
SPAN = {"name": "redis.command", "component": "redis", "resource": "GET*", "type": "redis"}
STATEMENT = {"tags": {"redis.raw_command": "GET *"}}
SERVICE = "redis"
# Its setup.py imports the package, which is Python 2.
PYTHON = [["==2.6.0", "<3"]]


def prepare(context):
    import redis

    return redis.StrictRedis(host=context.host, port=context.port, socket_timeout=10)


def call(context):
    context.ready.set(context.shop, "Emma")
    pipeline = context.ready.pipeline()
    pipeline.get(context.shop)
    titles = [context.ready.get(context.shop), pipeline.execute()[0]]
    return ", ".join(title.decode("ascii") for title in titles + run_async(context, "get"))


def fail(context):
    import redis

    context.ready.set(context.shop, "Emma")
    try:
        run_async(context, "incr")
    except redis.ResponseError:
        pass
    context.ready.incr(context.shop)


def run_async(context, method):
    """Return a list of the result by asyncio; it is empty for a release that has none."""
    try:
        from redis import asyncio as redis_asyncio
    except ImportError:
        return []
    # Some releases create locks with the client, which belong to the thread's loop.
    loop = loops.new_loop()
    client = redis_asyncio.Redis(host=context.host, port=context.port)
    try:
        return [loop.run_until_complete(getattr(client, method)(context.shop))]
    finally:
        loop.run_until_complete(client.connection_pool.disconnect())
        loop.close()


def wait(context):
    # No such list; with a socket timeout of more than that.
    context.ready.execute_command("BLPOP", context.shop + "-none", "0.1")
