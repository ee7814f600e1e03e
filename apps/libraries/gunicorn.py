"""Gunicorn: a request of a WSGI application that it serves in a worker of its own.

Gunicorn makes no span. What runs in its workers does, where it is traced: here the application, by
the tracer's WSGI middleware.
"""

from __future__ import absolute_import

import carrier

DISTRIBUTION = "gunicorn"
INTEGRATION = "gunicorn"
SPAN = {"name": "wsgi.request", "component": "wsgi", "tags": {"http.status_code": "200"}}
SERVICE = ""
MIDDLEWARE = []


def patch():
    from ddtrace.contrib.wsgi import DDWSGIMiddleware

    MIDDLEWARE.append(DDWSGIMiddleware)


def book(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"The book emma"]


def child(say):
    from gunicorn.app.base import BaseApplication

    class Shop(BaseApplication):
        def load_config(self):
            self.cfg.set("bind", "127.0.0.1:0")
            self.cfg.set(
                "when_ready", lambda server: say(server.LISTENERS[0].sock.getsockname()[1])
            )

        def load(self):
            app = book
            for wrap in MIDDLEWARE:
                app = wrap(app)
            return app

    Shop().run()


def prepare(place):
    import children
    import gunicorn  # noqa: F401

    return children.start("gunicorn")


def call(place):
    return carrier.get(place.ready, "/books/emma", carrier.trace_headers())[1]
