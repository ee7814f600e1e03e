"""Starlette: a request of an ASGI application."""

from __future__ import absolute_import

import carrier
import pages

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


def shelf(request):
    from starlette.responses import PlainTextResponse

    return PlainTextResponse("The shelf")


async def stream(request):
    from starlette.responses import StreamingResponse

    return StreamingResponse(chunks())


async def chunks():
    yield b"The book "
    yield b"emma"


async def missing(request):
    from starlette.exceptions import HTTPException

    raise HTTPException(404, "no such book")


async def broken(request):
    raise LookupError("no such book")


async def describe(request, error):
    from starlette.responses import PlainTextResponse

    return PlainTextResponse("%s: %s" % (type(error).__name__, error), 500)


def prepare(context):
    from starlette.applications import Starlette
    from starlette.routing import Route

    routes = [Route("/" + view.__name__, view) for view in (shelf, stream, missing, broken)]
    app = Starlette(routes=[Route("/books/{slug}", book)] + routes)
    app.add_exception_handler(Exception, describe)
    return app


def call(context):
    headers = carrier.trace_headers()
    paths = ("/books/emma", "/shelf", "/stream")
    answers = [carrier.call_asgi(context.ready, path, headers) for path in paths]
    return ", ".join(map(carrier.page_body, answers))


def fail(context):
    pages.raise_asgi_answers(context.ready, "/missing", "/broken")
