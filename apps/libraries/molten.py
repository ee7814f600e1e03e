"""Molten: a request of a WSGI application."""

from __future__ import absolute_import

import carrier

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


def prepare(context):
    import molten

    return molten.App(routes=[molten.Route("/books/{slug}", book)])


def call(context):
    return carrier.page_body(carrier.call_wsgi(context.ready, "/books/emma"))
