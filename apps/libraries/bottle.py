"""Bottle: a request of a WSGI application."""

from __future__ import absolute_import

import carrier
import pages

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


def stream():
    yield "The book "
    yield "emma"


def missing():
    import bottle

    bottle.abort(404, "no such book")


def broken():
    raise LookupError("no such book")


def describe(error):
    return "%r %s" % (error.exception, error.body)


def prepare(context):
    import bottle

    app = bottle.Bottle()
    for plugin in PLUGINS:
        app.install(plugin())
    app.route("/books/<slug>", "GET", lambda slug: "The book " + slug)
    for view in (stream, missing, broken):
        app.route("/" + view.__name__, "GET", view)
    for status in (404, 500):
        app.error(status)(describe)
    return app


def call(context):
    answers = [carrier.call_wsgi(context.ready, path) for path in ("/books/emma", "/stream")]
    return ", ".join(map(carrier.page_body, answers))


def fail(context):
    pages.raise_wsgi_answers(context.ready, "/missing", "/broken")
