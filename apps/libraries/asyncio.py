"""asyncio: tasks belong to the trace of the code that created them.

A task creates a manual span after its creator has yielded; the span shows the trace. One raises.
"""

from __future__ import absolute_import

import carrier

DISTRIBUTION = ""
INTEGRATION = "asyncio"
PYTHON = ">=3.5"
SPAN = {"name": "bookshop.in-task"}
SERVICE = ""


async def count(shop):
    import asyncio

    await asyncio.sleep(0)
    with carrier.span("bookshop.in-task"):
        return "%d letters" % len(shop)


async def lose(shop):
    await count(shop)
    raise LookupError("no such book")


async def run_task(loop, function, shop):
    return await loop.create_task(function(shop))


async def run_tasks(loop, shop):
    import asyncio

    tasks = [loop.create_task(count(shop)), asyncio.ensure_future(count(shop), loop=loop)]
    return ", ".join(await asyncio.gather(*tasks))


def prepare(context):
    import asyncio  # noqa: F401


def run(function, *arguments):
    import asyncio

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(function(loop, *arguments))
    finally:
        loop.close()


def call(context):
    return run(run_tasks, context.shop)


def fail(context):
    return run(run_task, lose, context.shop)
