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


def prepare(place):
    import molten

    return molten.App(routes=[molten.Route("/books/{slug}", book)])


def call(place):
    return carrier.page(carrier.call_wsgi(place.ready, "/books/emma"))
