"""The bookshop on the server of aiohttp, for all releases from 2.0. CPython 3 only.

It takes a call to trace it, as the tracer documents.
"""

from aiohttp import web

import carrier
import endpoints
import loops
from bookshop import open_shops  # noqa: F401
from libraries import aiohttp_server as row

SERVER = "own"
TRIED = [
    ["3.6", "2.0.0", "2021-06-01"],
    ["3.11", "3.8.4", "2023-06-01"],
    ["3.13", "3.13.1", "2025-11-01"],
]
ROW = "aiohttp-server"


class Request(object):
    def __init__(self, request, form, content):
        self.request, self.part = request, request.match_info.get
        self.form = lambda name: form.get(name, "")
        self.content = lambda: content

    def query(self, name):
        return self.request.query.get(name, "")

    def cookie(self, name, otherwise):
        return self.request.cookies.get(name, otherwise)

    def header(self, name):
        return self.request.headers.get(name, "")


def handler_of(endpoint):
    async def respond(request):
        form = await request.post() if endpoint.reads == endpoints.FORM else {}
        content = await request.json() if endpoint.reads == endpoints.CONTENT else None
        status, media_type, body, headers = endpoint.function(Request(request, form, content))
        return web.Response(
            text=body, status=status, headers=dict(headers), content_type=media_type
        )

    return respond


def listen():
    """Return a port, and the function that serves there in the same thread: it has a loop."""
    loop = loops.new_loop()
    app = web.Application()
    for endpoint in endpoints.ENDPOINTS:
        app.router.add_route(endpoint.method, endpoint.path, handler_of(endpoint))
    for trace in row.TRACED:
        trace(app)
    return loop.run_until_complete(row.start(app, loop)), loop.run_forever


if carrier.find_tracer():
    carrier.enable_tracing(row)
