"""Futures: the work of a pool's thread belongs to the trace of the code that submitted it.

The integration creates no span, but puts a manual span of the thread in the trace of the request.
"""

from __future__ import absolute_import

import carrier

DISTRIBUTION = ""
INTEGRATION = "futures"
# A part of the standard library since 3.2.
ALSO = [["", "futures; python_version < '3'"]]
SPAN = {"name": "bookshop.in-thread"}
SERVICE = ""


def count(shop):
    with carrier.span("bookshop.in-thread"):
        return "%d letters" % len(shop)


def prepare(context):
    import concurrent.futures  # noqa: F401


def call(context):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=1) as pool:
        future = pool.submit(count, context.shop)
        return ", ".join([future.result(10)] + list(pool.map(count, [context.shop])))


def lose(shop):
    count(shop)
    raise LookupError("no such book")


def fail(context):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(lose, context.shop).result(10)
