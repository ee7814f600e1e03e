"""CherryPy: a request of a WSGI application, traced by the tracer's tool."""

from __future__ import absolute_import

import carrier
import pages

DISTRIBUTION = "cherrypy"
INTEGRATION = "cherrypy"
SPAN = {"name": "cherrypy.request", "component": "cherrypy", "tags": {"http.status_code": "200"}}
SERVICE = ""
# It uses inspect.getargspec.
PYTHON = [["<=11.2.0", "<3.11"]]
TOOLS = []


def patch():
    import cherrypy
    from ddtrace import tracer
    from ddtrace.contrib.cherrypy import TraceMiddleware

    TraceMiddleware(cherrypy, tracer, service="bookshop")
    TOOLS.append("tools.tracer.on")


class Books(object):
    def emma(self):
        return "The book emma"

    def stream(self):
        yield "The book "
        yield "emma"

    def missing(self):
        import cherrypy

        raise cherrypy.HTTPError(404, "no such book")

    def broken(self):
        raise LookupError("no such book")

    emma.exposed = stream.exposed = missing.exposed = broken.exposed = True


def describe(message, **_):
    return message


def prepare(context):
    import cherrypy

    cherrypy.config.update({"environment": "embedded", "log.screen": False})
    settings = dict.fromkeys(TOOLS, True)
    settings["error_page.default"] = describe
    return cherrypy.Application(Books(), "", {"/": settings})


def call(context):
    answers = [carrier.call_wsgi(context.ready, path) for path in ("/emma", "/stream")]
    return ", ".join(map(carrier.page_body, answers))


def fail(context):
    pages.raise_wsgi_answers(context.ready, "/missing", "/broken")
