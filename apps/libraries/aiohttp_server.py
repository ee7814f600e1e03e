"""aiohttp as a server: a request of its own server, which takes up the caller's trace."""

from __future__ import absolute_import

import carrier
import loops

DISTRIBUTION = "aiohttp"
INTEGRATION = "aiohttp"
SPAN = {
    "name": "aiohttp.request",
    "component": "aiohttp",
    "resource": "GET *",
    "type": "web",
    "tags": {"http.status_code": "200"},
}
SERVICE = ""
# Up to 2.3.2 it says `asyncio.async`, which 3.7 does not parse; 3.9 has no Task.current_task.
PYTHON = [["<2.3.3", ">=3.5,<3.7"], ["<2.4", ">=3.5,<3.9"], ["", ">=3.5"]]
# It derives a class of async-timeout's, which is a function later, and imports yarl's `unquote`.
ALSO = [["<3", "async-timeout<4"], ["<2.3.6", "yarl<1"]]
TRACED = []


def patch():
    import aiohttp.web  # noqa: F401  first, as documented: some releases fail the other way round
    from ddtrace import tracer
    from ddtrace.contrib.aiohttp import trace_app

    TRACED.append(lambda app: trace_app(app, tracer, service="bookshop"))


async def book(request):
    from aiohttp import web

    return web.Response(text="The book " + request.match_info["slug"])


async def start(app, loop):
    """Return the port that the application is served on, by this release's way to do so."""
    from aiohttp import web

    if hasattr(web, "AppRunner"):
        runner = web.AppRunner(app)
        await runner.setup()
        handler = runner.server
    else:  # before 3.0
        handler = app.make_handler(loop=loop)
        await app.startup()
    server = await loop.create_server(handler, "127.0.0.1", 0)
    return server.sockets[0].getsockname()[1]


def serve(ready):
    """Serve in this thread, whose loop must be made here."""
    from aiohttp import web

    loop = loops.new()
    app = web.Application()
    app.router.add_get("/books/{slug}", book)
    for traced in TRACED:
        traced(app)
    ready(loop.run_until_complete(start(app, loop)))
    loop.run_forever()


def prepare(place):
    import aiohttp.web  # noqa: F401  the tracer's hooks want the thread that has a loop

    return loops.port_of(serve)


def call(place):
    return carrier.visit(place.ready, "/books/emma")
