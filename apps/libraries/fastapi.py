"""FastAPI: a request of an ASGI application."""

from __future__ import absolute_import

import carrier
import pages

DISTRIBUTION = "fastapi"
INTEGRATION = "fastapi"
SPAN = {
    "name": "fastapi.request",
    "component": "fastapi",
    "resource": "GET *",
    "type": "web",
    "tags": {"http.status_code": "200"},
}
SERVICE = ""
PYTHON = ">=3.6"


async def book(slug: str):
    return {"book": slug}


def shelf(slug: str):
    return {"shelf": slug}


async def stream():
    from fastapi.responses import StreamingResponse

    return StreamingResponse(chunks())


async def chunks():
    yield b"The book "
    yield b"emma"


async def missing():
    import fastapi

    raise fastapi.HTTPException(404, "no such book")


async def broken():
    raise LookupError("no such book")


async def describe(request, error):
    from fastapi.responses import PlainTextResponse

    return PlainTextResponse("%s: %s" % (type(error).__name__, error), 500)


def prepare(context):
    import fastapi

    app = fastapi.FastAPI()
    app.get("/books/{slug}")(book)
    app.get("/shelves/{slug}")(shelf)
    for view in (stream, missing, broken):
        app.get("/" + view.__name__)(view)
    app.add_exception_handler(Exception, describe)
    return app


def call(context):
    headers = carrier.trace_headers()
    paths = ("/books/emma", "/shelves/top", "/stream")
    answers = [carrier.call_asgi(context.ready, path, headers) for path in paths]
    return ", ".join(map(carrier.page_body, answers))


def fail(context):
    pages.raise_asgi_answers(context.ready, "/missing", "/broken")
