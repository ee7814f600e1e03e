"""CherryPy: a request of a WSGI application, traced by the tracer's tool."""

from __future__ import absolute_import

import carrier

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

    emma.exposed = True


def prepare(context):
    import cherrypy

    cherrypy.config.update({"environment": "embedded", "log.screen": False})
    return cherrypy.Application(Books(), "", {"/": dict.fromkeys(TOOLS, True)})


def call(context):
    return carrier.page_body(carrier.call_wsgi(context.ready, "/emma"))
