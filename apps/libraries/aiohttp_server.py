"""The server of aiohttp: a request that continues the trace of the client."""

from __future__ import absolute_import

import carrier
import loops
import pages

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
# Up to 2.3.2 it uses `asyncio.async`, a syntax error in 3.7; 3.9 has no Task.current_task.
PYTHON = [["<2.3.3", ">=3.5,<3.7"], ["<2.4", ">=3.5,<3.9"], ["", ">=3.5"]]
# It subclasses a class of async-timeout that became a function, and imports yarl's `unquote`. Its
# `request.url`, which tracers read, passes a host with a port, which yarl 1.13 refuses.
ALSO = [["<3", "async-timeout<4"], ["<2.3.6", "yarl<1"], ["<3.10.8", "yarl<1.13"]]
TRACED = []


def patch():
    import aiohttp.web  # noqa: F401  imported first, as documented: otherwise some releases fail
    from ddtrace import tracer
    from ddtrace.contrib.aiohttp import trace_app

    TRACED.append(lambda app: trace_app(app, tracer, service="bookshop"))


async def book(request):
    from aiohttp import web

    return web.Response(text="The book " + request.match_info["slug"])


async def stream(request):
    from aiohttp import web

    if not hasattr(web, "AppRunner"):  # before 3.0, writing is no coroutine
        return web.Response(text="The book emma")
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"The book ")
    await response.write(b"emma")
    return response


async def missing(request):
    from aiohttp import web

    raise web.HTTPNotFound(text="no such book")


async def broken(request):
    raise LookupError("no such book")


async def start(app, loop):
    """Start the server, as this release requires; return its port."""
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
    """Serve in this thread, with a loop that must be created in it."""
    from aiohttp import web

    loop = loops.new_loop()
    app = web.Application()
    app.router.add_get("/books/{slug}", book)
    for handler in (stream, missing, broken):
        app.router.add_get("/" + handler.__name__, handler)
    for trace in TRACED:
        trace(app)
    ready(loop.run_until_complete(start(app, loop)))
    loop.run_forever()


def prepare(context):
    import aiohttp.web  # noqa: F401  here, as the hooks of the tracer need a thread with a loop

    return loops.start_server(serve)


def call(context):
    return ", ".join(carrier.get_page(context.ready, path) for path in ("/books/emma", "/stream"))


def fail(context):
    pages.raise_server_answers(context.ready, "/missing", "/broken")
