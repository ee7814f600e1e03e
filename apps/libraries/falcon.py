"""Falcon: a request of a WSGI application."""

from __future__ import absolute_import

import carrier

DISTRIBUTION = "falcon"
INTEGRATION = "falcon"
SPAN = {"name": "falcon.request", "component": "falcon", "tags": {"http.status_code": "200"}}
SERVICE = ""
# 1.0 imports MutableMapping from `collections`; 3.1 does not build on 3.13.
PYTHON = [["<=1.0.0", "<3.10"], ["<4", "<3.13"]]
MIDDLEWARE = []


def patch():
    import falcon  # noqa: F401  first, as documented: some releases fail the other way round
    from ddtrace import tracer
    from ddtrace.contrib.falcon import TraceMiddleware

    MIDDLEWARE.append(lambda: TraceMiddleware(tracer, "bookshop"))


class Book(object):
    def on_get(self, request, response):
        # `text` came with 3.0, and 4.0 dropped `body`.
        setattr(response, "text" if hasattr(response, "text") else "body", "The book emma")


def prepare(place):
    import falcon

    make = getattr(falcon, "App", None) or falcon.API  # the name until 2.0
    app = make(middleware=[each() for each in MIDDLEWARE])
    app.add_route("/books/emma", Book())
    return app


def call(place):
    return carrier.page(carrier.call_wsgi(place.ready, "/books/emma"))
