"""asyncio: what a task does belongs to the trace of who started it.

A span of our own, in a task that runs after its starter has handed over, tells whose trace it is in.
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


async def ask(loop, shop):
    return await loop.create_task(count(shop))


def prepare(place):
    import asyncio  # noqa: F401


def call(place):
    import asyncio

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(ask(loop, place.shop))
    finally:
        loop.close()
