"""Valkey: a key is set and read, alone, in a pipeline, and by asyncio; a text is no number."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "valkey"
INTEGRATION = "valkey"
SPAN = {
    "name": "valkey.command",
    "component": "valkey",
    "resource": "GET*",
    "type": "valkey",
    "tags": {"valkey.raw_command": "GET *"},
}
ERROR_SPAN = {"name": "valkey.command", "component": "valkey", "resource": "INCR*"}
# Valkey speaks the protocol of Redis.
SERVICE = "redis"
PYTHON = ">=3.8"


def prepare(context):
    import valkey

    return valkey.Valkey(host=context.host, port=context.port, socket_timeout=10)


async def run_async(context, method):
    from valkey import asyncio as valkey_asyncio

    client = valkey_asyncio.Valkey(host=context.host, port=context.port)
    try:
        return await getattr(client, method)(context.shop)
    finally:
        await client.connection_pool.disconnect()


def call(context):
    context.ready.set(context.shop, "Emma")
    pipeline = context.ready.pipeline()
    pipeline.get(context.shop)
    titles = [context.ready.get(context.shop), pipeline.execute()[0]]
    titles.append(loops.run(run_async(context, "get")))
    return ", ".join(title.decode("ascii") for title in titles)


def fail(context):
    import valkey

    context.ready.set(context.shop, "Emma")
    try:
        loops.run(run_async(context, "incr"))
    except valkey.ResponseError:
        pass
    context.ready.incr(context.shop)
