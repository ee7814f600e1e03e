"""Molten: a request of a WSGI application."""

from __future__ import absolute_import

import carrier
import pages

DISTRIBUTION = "molten"
INTEGRATION = "molten"
SPAN = {
    "name": "molten.request",
    "component": "molten",
    "resource": "GET *",
    "type": "web",
    "tags": {"http.status_code": "200"},
}
SERVICE = ""
PYTHON = ">=3.6"


def book(slug: str) -> str:
    return "The book " + slug


def stream():
    import molten

    return molten.StreamingResponse(molten.HTTP_200, iter([b"The book ", b"emma"]))


def missing():
    import molten

    raise molten.HTTPError(molten.HTTP_404, {"message": "no such book"})


def broken():
    raise LookupError("no such book")


def prepare(context):
    import molten

    routes = [molten.Route("/" + view.__name__, view) for view in (stream, missing, broken)]
    return molten.App(routes=[molten.Route("/books/{slug}", book)] + routes)


def call(context):
    answers = [carrier.call_wsgi(context.ready, path) for path in ("/books/emma", "/stream")]
    return ", ".join(map(carrier.page_body, answers))


def fail(context):
    pages.raise_wsgi_answers(context.ready, "/missing", "/broken")
