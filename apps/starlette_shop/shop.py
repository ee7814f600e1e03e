"""The bookshop on Starlette, for all releases from 0.13. CPython 3 only."""

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

import endpoints
from bookshop import open_shops  # noqa: F401

SERVER = "asgi"
TRIED = [
    ["3.6", "0.13.0", "2021-06-01"],
    ["3.11", "0.27.0", "2023-06-01"],
    ["3.13", "0.48.0", "2025-11-01"],
]
# Starlette reads forms with it.
ALSO = ["python-multipart"]


class Request(object):
    def __init__(self, request, form, content):
        self.request = request
        self.form = lambda name: form.get(name, "")
        self.content = lambda: content

    def part(self, name):
        return self.request.path_params[name]

    def query(self, name):
        return self.request.query_params.get(name, "")

    def cookie(self, name, otherwise):
        return self.request.cookies.get(name, otherwise)

    def header(self, name):
        return self.request.headers.get(name, "")


def view_of(endpoint):
    async def view(request):
        form = await request.form() if endpoint.reads == endpoints.FORM else {}
        content = await request.json() if endpoint.reads == endpoints.CONTENT else None
        status, media_type, body, headers = endpoint.function(Request(request, form, content))
        return Response(body, status, dict(headers), media_type)

    return view


application = Starlette(
    routes=[
        Route(endpoint.path, view_of(endpoint), methods=[endpoint.method], name=endpoint.name)
        for endpoint in endpoints.ENDPOINTS
    ]
)
