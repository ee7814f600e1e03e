"""Pyramid: a request of a WSGI application."""

from __future__ import absolute_import

import carrier
import pages

DISTRIBUTION = "pyramid"
INTEGRATION = "pyramid"
SPAN = {"name": "pyramid.request", "component": "pyramid", "tags": {"http.status_code": "200"}}
SERVICE = ""
# It imports pkg_resources.
ALSO = [["<2.1", "setuptools<81"]]
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


def stream(request):
    from pyramid.response import Response

    return Response(app_iter=iter([b"The book ", b"emma"]))


def missing(request):
    from pyramid.httpexceptions import HTTPNotFound

    raise HTTPNotFound("no such book")


def broken(request):
    raise LookupError("no such book")


def prepare(context):
    from pyramid.config import Configurator

    config = Configurator(settings={"datadog_trace_service": "bookshop"})
    for trace in TRACING:
        trace(config)
    config.add_route("book", "/books/emma")
    for view in (book, stream, missing, broken):
        name = view.__name__
        if view is not book:
            config.add_route(name, "/" + name)
        config.add_view(view, route_name=name)
    return config.make_wsgi_app()


def call(context):
    answers = [carrier.call_wsgi(context.ready, path) for path in ("/books/emma", "/stream")]
    return ", ".join(map(carrier.page_body, answers))


def fail(context):
    pages.raise_wsgi_answers(context.ready, "/missing", "/broken")
