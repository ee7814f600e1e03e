"""aredis: a key is set and read, alone and in a pipeline; a text is no number."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "aredis"
INTEGRATION = "aredis"
SPAN = {
    "name": "redis.command",
    "component": "aredis",
    "resource": "GET*",
    "type": "redis",
    "tags": {"redis.raw_command": "GET *"},
}
ERROR_SPAN = {"name": "redis.command", "component": "aredis", "resource": "INCR*"}
SERVICE = "redis"
# It passes `loop` to asyncio.wait_for, which 3.10 removed.
PYTHON = ">=3.5,<3.10"


def prepare(context):
    import aredis  # noqa: F401


async def run(context, method):
    """Return the results of a method, alone and in a pipeline."""
    import aredis

    client = aredis.StrictRedis(host=context.host, port=context.port, stream_timeout=10)
    try:
        await client.set(context.shop, "Emma")
        pipeline = await client.pipeline()
        await pipeline.get(context.shop)
        return [await getattr(client, method)(context.shop)] + list(await pipeline.execute())
    finally:
        client.connection_pool.disconnect()


def call(context):
    return ", ".join(title.decode("ascii") for title in loops.run(run(context, "get")))


def fail(context):
    loops.run(run(context, "incr"))
