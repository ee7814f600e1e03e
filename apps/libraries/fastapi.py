"""FastAPI: a request of an ASGI application."""

from __future__ import absolute_import

import carrier

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


def prepare(context):
    import fastapi

    app = fastapi.FastAPI()
    app.get("/books/{slug}")(book)
    return app


def call(context):
    return carrier.page_body(
        carrier.call_asgi(context.ready, "/books/emma", carrier.trace_headers())
    )
