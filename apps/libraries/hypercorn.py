"""Hypercorn: a request to an ASGI application that it serves, in the middleware of the tracer.

The tracer has no integration of the server; its ASGI middleware creates the span.
"""

from __future__ import absolute_import

import carrier
import loops
import pages
from libraries import asgi
from libraries import uvicorn

DISTRIBUTION = "hypercorn"
INTEGRATION = "hypercorn"
SPAN = {
    "name": "asgi.request",
    "component": "asgi",
    "resource": "GET *",
    "type": "web",
    "tags": {"http.status_code": "200"},
}
SERVICE = ""
PYTHON = ">=3.7"


def patch():
    asgi.patch()


async def serve_forever(app, listener):
    import asyncio

    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = ["fd://%d" % listener.fileno()]
    # By default it waits for a signal, which only a main thread can.
    await serve(app, config, shutdown_trigger=asyncio.Event().wait)


def start(ready):
    """Serve in this thread, with a loop that must be created in it."""
    loop = loops.new_loop()
    listener = loops.new_listener()
    ready(listener.getsockname()[1])
    loop.run_until_complete(serve_forever(uvicorn.application(), listener))


def prepare(context):
    import hypercorn  # noqa: F401

    return loops.start_server(start)


def call(context):
    return carrier.get_page(context.ready, "/books/emma")


def fail(context):
    pages.raise_server_answers(context.ready, "/broken")
