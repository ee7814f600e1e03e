"""Uvicorn: a request to an ASGI application that it serves, in the middleware of the tracer.

The tracer has no integration of the server; its ASGI middleware creates the span.
"""

from __future__ import absolute_import

import carrier
import loops
import pages
from libraries import asgi

DISTRIBUTION = "uvicorn"
INTEGRATION = "uvicorn"
SPAN = {
    "name": "asgi.request",
    "component": "asgi",
    "resource": "GET *",
    "type": "web",
    "tags": {"http.status_code": "200"},
}
SERVICE = ""
PYTHON = ">=3.6"


def patch():
    asgi.patch()


async def books(scope, receive, send):
    if scope["type"] != "http" or scope["path"] == "/broken":
        raise LookupError("no such book")
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"The book ", "more_body": True})
    await send({"type": "http.response.body", "body": b"emma"})


def application():
    """Return the ASGI application, in the middleware of the tracer where that is asked."""
    app = books
    for wrap in asgi.MIDDLEWARE:
        app = wrap(app)
    return app


def serve(ready):
    """Serve in this thread, with a loop that must be created in it."""
    import uvicorn

    loops.new_loop()
    listener = loops.new_listener()
    server = uvicorn.Server(uvicorn.Config(application(), log_level="warning"))
    ready(listener.getsockname()[1])
    server.run(sockets=[listener])


def prepare(context):
    import uvicorn  # noqa: F401

    return loops.start_server(serve)


def call(context):
    return carrier.get_page(context.ready, "/books/emma")


def fail(context):
    pages.raise_server_answers(context.ready, "/broken")
