"""Pyramid: a request of a WSGI application."""

from __future__ import absolute_import

import carrier

DISTRIBUTION = "pyramid"
INTEGRATION = "pyramid"
SPAN = {"name": "pyramid.request", "component": "pyramid", "tags": {"http.status_code": "200"}}
SERVICE = ""
# It imports `imp`.
PYTHON = [["<=1.7", "<3.12"]]
TRACING = []


def patch():
    import pyramid.config  # noqa: F401  imported first, as documented
    from ddtrace.contrib.pyramid import trace_pyramid

    TRACING.append(trace_pyramid)


def book(request):
    from pyramid.response import Response

    return Response("The book emma")


def prepare(context):
    from pyramid.config import Configurator

    config = Configurator(settings={"datadog_trace_service": "bookshop"})
    for trace in TRACING:
        trace(config)
    config.add_route("book", "/books/emma")
    config.add_view(book, route_name="book")
    return config.make_wsgi_app()


def call(context):
    return carrier.page_body(carrier.call_wsgi(context.ready, "/books/emma"))
