"""Sanic: a request to its own server, which continues the trace of the client."""

from __future__ import absolute_import

import carrier
import loops
import pages

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
# 25.3 accepts 3.8 and subscripts `type`, which 3.9 introduced.
PYTHON = [[">=25.3", ">=3.9"], ["", ">=3.6"]]
# It imports a name that websockets 11 removed; tracerite needs 3.8, and before that pkg_resources.
ALSO = [
    [">=21.9,<22", "websockets<11"],
    [">=23.3", "tracerite<1.1.2; python_version < '3.9'"],
    [">=23.3", "setuptools<81; python_version < '3.9'"],
]


async def book(request, slug):
    from sanic.response import text

    return text("The book " + slug)


def shelf(request):
    from sanic.response import text

    return text("The shelf")


async def missing(request):
    from sanic.exceptions import NotFound

    raise NotFound("no such book")


async def broken(request):
    raise LookupError("no such book")


async def start(app):
    """Start the server, as this release requires; return its port."""
    import socket

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = await app.create_server(sock=listener, return_asyncio_server=True, access_log=False)
    if hasattr(server, "startup"):  # from 21.3
        await server.startup()
    if hasattr(server, "start_serving"):  # before 20.3 it starts by itself
        await server.start_serving()
    return listener.getsockname()[1]


def serve(ready):
    """Serve in this thread, with a loop that must be created in it."""
    from sanic import Sanic

    loop = loops.new_loop()
    app = Sanic("bookshop")
    app.add_route(book, "/books/<slug>")
    for handler in (shelf, missing, broken):
        app.add_route(handler, "/" + handler.__name__)
    ready(loop.run_until_complete(start(app)))
    loop.run_forever()


def prepare(context):
    import sanic  # noqa: F401  here, as the hooks of the tracer need a thread with a loop

    return loops.start_server(serve)


def call(context):
    return ", ".join(carrier.get_page(context.ready, path) for path in ("/books/emma", "/shelf"))


def fail(context):
    pages.raise_server_answers(context.ready, "/missing", "/broken")
