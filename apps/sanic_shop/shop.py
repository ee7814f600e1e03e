"""The bookshop on Sanic, for all releases from 19.12, with its own server. CPython 3 only."""

from urllib.parse import unquote

from libraries import sanic as row
from sanic import Sanic
from sanic.response import HTTPResponse

import endpoints
import loops
from bookshop import open_shops  # noqa: F401

SERVER = "own"
TRIED = [
    ["3.6", "19.12.5", "2021-06-01"],
    ["3.11", "23.3.0", "2023-06-01"],
    ["3.13", "25.3.0", "2025-11-01"],
]


class Request(object):
    def __init__(self, request, parts):
        self.request, self.parts = request, parts

    def part(self, name):
        # Some releases hand the path on as it was sent.
        return unquote(self.parts[name])

    def query(self, name):
        return self.request.args.get(name, "")

    def form(self, name):
        return self.request.form.get(name, "")

    def content(self):
        return self.request.json

    def cookie(self, name, otherwise):
        return self.request.cookies.get(name, otherwise)

    def header(self, name):
        return self.request.headers.get(name, "")


def handler_of(endpoint):
    async def respond(request, **parts):
        status, media_type, body, headers = endpoint.function(Request(request, parts))
        content_type = media_type + "; charset=utf-8"
        return HTTPResponse(body, status, dict(headers), content_type)

    respond.__name__ = endpoint.name
    return respond


def listen():
    """Return a port, and the function that serves there in the same thread: it has a loop."""
    loop = loops.new_loop()
    app = Sanic("bookshop", configure_logging=False)
    for endpoint in endpoints.ENDPOINTS:
        uri = endpoint.path.replace("{", "<").replace("}", ">")
        app.add_route(handler_of(endpoint), uri, methods=[endpoint.method])
    return loop.run_until_complete(row.start(app)), loop.run_forever
