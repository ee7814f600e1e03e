"""Falcon: a request of a WSGI application."""

from __future__ import absolute_import

import carrier
import pages

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


class Stream(object):
    def on_get(self, request, response):
        response.stream = iter([b"The book ", b"emma"])


class Missing(object):
    def on_get(self, request, response):
        import falcon

        raise falcon.HTTPError(falcon.HTTP_404, title="no such book")


class Broken(object):
    def on_get(self, request, response):
        raise LookupError("no such book")


def prepare(context):
    import falcon

    app_class = getattr(falcon, "App", None) or falcon.API  # the name until 2.0
    app = app_class(middleware=[create() for create in MIDDLEWARE])
    app.add_route("/books/emma", Book())
    for resource in (Stream, Missing, Broken):
        app.add_route("/" + resource.__name__.lower(), resource())
    return app


def call(context):
    answers = [carrier.call_wsgi(context.ready, path) for path in ("/books/emma", "/stream")]
    return ", ".join(map(carrier.page_body, answers))


def fail(context):
    pages.raise_wsgi_answers(context.ready, "/missing", "/broken")
