"""Waitress: a request to a WSGI application that it serves, in the middleware of the tracer.

The tracer has no integration of the server; its WSGI middleware creates the span.
"""

from __future__ import absolute_import

import carrier
import loops
import pages
from libraries import wsgi

DISTRIBUTION = "waitress"
INTEGRATION = "waitress"
SPAN = {
    "name": "wsgi.request",
    "component": "wsgi",
    "resource": "GET *",
    "type": "web",
    "tags": {"http.status_code": "200"},
}
SERVICE = ""


def patch():
    wsgi.patch()


def serve(ready):
    from waitress import create_server

    server = create_server(wsgi.prepare(None), host="127.0.0.1", port=0)
    ready(int(server.effective_port))
    server.run()


def prepare(context):
    import waitress  # noqa: F401

    return loops.start_server(serve)


def call(context):
    return ", ".join(carrier.get_page(context.ready, path) for path in ("/books/emma", "/stream"))


def fail(context):
    pages.raise_server_answers(context.ready, "/broken")
