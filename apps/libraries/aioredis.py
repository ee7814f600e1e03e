"""aioredis: a key is set and read, alone and in a pipeline; a text is no number."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "aioredis"
INTEGRATION = "aioredis"
SPAN = {
    "name": "redis.command",
    "component": "aioredis",
    "resource": "GET*",
    "type": "redis",
    "tags": {"redis.raw_command": "GET *"},
}
ERROR_SPAN = {"name": "redis.command", "component": "aioredis", "resource": "INCR*"}
SERVICE = "redis"
# 2.0.0 and 2.0.1 define a class whose bases are the same from 3.11; 1.x passes `loop` to asyncio,
# which 3.10 removed.
PYTHON = [["<2", ">=3.5,<3.10"], ["", ">=3.6,<3.11"]]


def prepare(context):
    import aioredis  # noqa: F401


async def connect(context):
    """Return a client and the coroutine function that closes it."""
    import aioredis

    if hasattr(aioredis, "create_redis_pool"):  # before 2.0
        client = await aioredis.create_redis_pool((context.host, context.port), maxsize=1)

        async def close():
            client.close()
            await client.wait_closed()

        return client, close
    client = aioredis.Redis(host=context.host, port=context.port)
    return client, client.connection_pool.disconnect


async def run(context, method):
    """Return the results of a method, alone and in a pipeline."""
    client, close = await connect(context)
    try:
        await client.set(context.shop, "Emma")
        pipeline = client.pipeline()
        pipeline.get(context.shop)
        return [await getattr(client, method)(context.shop)] + list(await pipeline.execute())
    finally:
        await close()


def call(context):
    return ", ".join(title.decode("ascii") for title in loops.run(run(context, "get")))


def fail(context):
    loops.run(run(context, "incr"))
