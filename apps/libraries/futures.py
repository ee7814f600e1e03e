"""Futures: what a pool's thread does belongs to the trace of who asked for it.

The tracer's integration makes no span of its own: ours, in the thread, is in the request's trace by
it alone.
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


def prepare(place):
    import concurrent.futures  # noqa: F401


def call(place):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(count, place.shop).result(10)
