"""Sanic: a request of its own server, which takes up the caller's trace."""

from __future__ import absolute_import

import carrier
import loops

DISTRIBUTION = "sanic"
INTEGRATION = "sanic"
SPAN = {
    "name": "sanic.request",
    "component": "sanic",
    "resource": "GET *",
    "type": "web",
    "tags": {"http.status_code": "200"},
}
SERVICE = ""
PYTHON = ">=3.6"
# It imports what websockets 11 no longer has; tracerite what 3.7 has not, or without that pkg_resources.
ALSO = [
    [">=21.9,<22", "websockets<11"],
    [">=23.3", "tracerite<1.1.2; python_version < '3.9'"],
    [">=23.3", "setuptools<81; python_version < '3.9'"],
]


async def book(request, slug):
    from sanic.response import text

    return text("The book " + slug)


async def start(app):
    """Return the port that the application is served on, by this release's way to do so."""
    import socket

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = await app.create_server(sock=listening, return_asyncio_server=True, access_log=False)
    if hasattr(server, "startup"):  # from 21.3
        await server.startup()
    if hasattr(server, "start_serving"):  # before 20.3 it does
        await server.start_serving()
    return listening.getsockname()[1]


def serve(ready):
    """Serve in this thread, whose loop must be made here."""
    from sanic import Sanic

    loop = loops.new()
    app = Sanic("bookshop")
    app.add_route(book, "/books/<slug>")
    ready(loop.run_until_complete(start(app)))
    loop.run_forever()


def prepare(place):
    import sanic  # noqa: F401  the tracer's hooks want the thread that has a loop

    return loops.port_of(serve)


def call(place):
    return carrier.visit(place.ready, "/books/emma")
