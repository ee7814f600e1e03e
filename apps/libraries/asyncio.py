"""asyncio: a task belongs to the trace of the code that created it.

The task creates a manual span after its creator has yielded; the span shows the trace.
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


async def count_in_task(loop, shop):
    return await loop.create_task(count(shop))


def prepare(context):
    import asyncio  # noqa: F401


def call(context):
    import asyncio

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(count_in_task(loop, context.shop))
    finally:
        loop.close()
