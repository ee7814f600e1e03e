"""WSGI: a request to an application in the middleware of the tracer, called as by a server."""

from __future__ import absolute_import

import carrier
import pages

DISTRIBUTION = ""
INTEGRATION = "wsgi"
SPAN = [
    {
        "name": "wsgi.request",
        "component": "wsgi",
        "resource": "GET *",
        "type": "web",
        "tags": {"http.status_code": "200"},
    },
    {"name": "wsgi.application", "component": "wsgi"},
    {"name": "wsgi.response", "component": "wsgi"},
]
ERROR_SPAN = {"name": "wsgi.request", "component": "wsgi"}
SERVICE = ""
MIDDLEWARE = []


def patch():
    from ddtrace.contrib.wsgi import DDWSGIMiddleware

    MIDDLEWARE.append(DDWSGIMiddleware)


def book(environ, start_response):
    if environ["PATH_INFO"] == "/broken":
        raise LookupError("no such book")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"The book emma"] if environ["PATH_INFO"] == "/books/emma" else stream()


def stream():
    yield b"The book "
    yield b"emma"


def prepare(context):
    app = book
    for wrap in MIDDLEWARE:
        app = wrap(app)
    return app


def call(context):
    answers = [carrier.call_wsgi(context.ready, path) for path in ("/books/emma", "/stream")]
    return ", ".join(map(carrier.page_body, answers))


def fail(context):
    pages.raise_wsgi_answers(context.ready, "/broken")
