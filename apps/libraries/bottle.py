"""Bottle: a request of a WSGI application."""

from __future__ import absolute_import

import carrier

DISTRIBUTION = "bottle"
INTEGRATION = "bottle"
SPAN = {"name": "bottle.request", "component": "bottle", "tags": {"http.status_code": "200"}}
SERVICE = ""
# It imports MutableMapping from `collections`.
PYTHON = [["<0.12", "<3.10"]]
PLUGINS = []


def patch():
    import bottle  # noqa: F401  imported first, as documented: otherwise some releases fail
    from ddtrace import tracer
    from ddtrace.contrib.bottle import TracePlugin

    PLUGINS.append(lambda: TracePlugin(service="bookshop", tracer=tracer))


def prepare(context):
    import bottle

    app = bottle.Bottle()
    for plugin in PLUGINS:
        app.install(plugin())
    app.route("/books/<slug>", "GET", lambda slug: "The book " + slug)
    return app


def call(context):
    return carrier.page_body(carrier.call_wsgi(context.ready, "/books/emma"))
