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
    import falcon  # noqa: F401  imported first, as documented: otherwise some releases fail
    from ddtrace import tracer
    from ddtrace.contrib.falcon import TraceMiddleware

    MIDDLEWARE.append(lambda: TraceMiddleware(tracer, "bookshop"))


class Book(object):
    def on_get(self, request, response):
        # 3.0 introduced `text`, 4.0 removed `body`.
        setattr(response, "text" if hasattr(response, "text") else "body", "The book emma")


def prepare(context):
    import falcon

    app_class = getattr(falcon, "App", None) or falcon.API  # the name until 2.0
    app = app_class(middleware=[create() for create in MIDDLEWARE])
    app.add_route("/books/emma", Book())
    return app


def call(context):
    return carrier.page_body(carrier.call_wsgi(context.ready, "/books/emma"))
