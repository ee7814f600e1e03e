"""yaaredis: a key is set and read, alone and in a pipeline; a text is no number."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "yaaredis"
INTEGRATION = "yaaredis"
SPAN = {
    "name": "redis.command",
    "component": "yaaredis",
    "resource": "GET*",
    "type": "redis",
    "tags": {"redis.raw_command": "GET *"},
}
ERROR_SPAN = {"name": "redis.command", "component": "yaaredis", "resource": "INCR*"}
SERVICE = "redis"
# It passes `loop` to asyncio.wait_for, which 3.10 removed.
PYTHON = [["<3", ">=3.6,<3.10"], ["", ">=3.6"]]
# It imports pkg_resources, and does not require it.
ALSO = [["", "setuptools<81"]]


def prepare(context):
    import yaaredis  # noqa: F401


async def run(context, method):
    """Return the results of a method, alone and in a pipeline."""
    import yaaredis

    client = yaaredis.StrictRedis(host=context.host, port=context.port, stream_timeout=10)
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
