"""Starlette: a request of an ASGI application."""

from __future__ import absolute_import

import carrier

DISTRIBUTION = "starlette"
INTEGRATION = "starlette"
SPAN = {
    "name": "starlette.request",
    "component": "starlette",
    "resource": "GET *",
    "type": "web",
    "tags": {"http.status_code": "200"},
}
SERVICE = ""
PYTHON = ">=3.6"


async def book(request):
    from starlette.responses import PlainTextResponse

    return PlainTextResponse("The book " + request.path_params["slug"])


def prepare(context):
    from starlette.applications import Starlette
    from starlette.routing import Route

    return Starlette(routes=[Route("/books/{slug}", book)])


def call(context):
    return carrier.page_body(
        carrier.call_asgi(context.ready, "/books/emma", carrier.trace_headers())
    )
