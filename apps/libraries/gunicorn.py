"""Gunicorn: a request to a WSGI application in one of its workers.

The integration creates no span; the tracer's WSGI middleware creates that of the application.
"""

from __future__ import absolute_import

import carrier
import pages

DISTRIBUTION = "gunicorn"
INTEGRATION = "gunicorn"
SPAN = {"name": "wsgi.request", "component": "wsgi", "tags": {"http.status_code": "200"}}
SERVICE = ""
# It imports pkg_resources.
ALSO = [["<21", "setuptools<81"]]
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


def child(report_port):
    from gunicorn.app.base import BaseApplication

    class Shop(BaseApplication):
        def load_config(self):
            self.cfg.set("bind", "127.0.0.1:0")
            self.cfg.set(
                "when_ready", lambda server: report_port(server.LISTENERS[0].sock.getsockname()[1])
            )

        def load(self):
            app = book
            for wrap in MIDDLEWARE:
                app = wrap(app)
            return app

    Shop().run()


def prepare(context):
    import children
    import gunicorn  # noqa: F401

    return children.start("gunicorn")


def call(context):
    return ", ".join(carrier.get_page(context.ready, path) for path in ("/books/emma", "/stream"))


def fail(context):
    pages.raise_server_answers(context.ready, "/broken")
