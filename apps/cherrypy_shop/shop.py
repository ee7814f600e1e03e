"""The bookshop on CherryPy, for all releases from 11.2.

It takes a call to trace it, as the tracer documents.
"""

import json

import cherrypy

import carrier
import endpoints
from bookshop import open_shops  # noqa: F401
from libraries import cherrypy as row

SERVER = "wsgi"
TRIED = [
    ["2.7", "11.2.0", "2020-06-01"],
    ["3.11", "18.8.0", "2023-06-01"],
    ["3.13", "18.10.0", "2025-11-01"],
]


class Request(object):
    def __init__(self, parts, parameters):
        self.part = parts.get
        self.parameters = parameters

    def query(self, name):
        return self.parameters.get(name, "")

    form = query

    def content(self):
        return json.loads(cherrypy.request.body.read().decode("utf-8"))

    def cookie(self, name, otherwise):
        found = cherrypy.request.cookie.get(name)
        return found.value if found else otherwise

    def header(self, name):
        return cherrypy.request.headers.get(name, "")


class Shops(object):
    """The root: CherryPy calls `default` with the segments of a path that has no object."""

    def default(self, *segments, **parameters):
        for endpoint in endpoints.ENDPOINTS:
            parts = parts_of(endpoint.path, segments)
            if endpoint.method == cherrypy.request.method and parts is not None:
                status, media_type, body, headers = endpoint.function(Request(parts, parameters))
                cherrypy.response.status = status
                cherrypy.response.headers["Content-Type"] = media_type + ";charset=utf-8"
                cherrypy.response.headers.update(dict(headers))
                return body.encode("utf-8")
        raise cherrypy.NotFound()

    default.exposed = True


def parts_of(path, segments):
    """Return the named parts of a path that has these segments, None if it has others."""
    names = path.strip("/").split("/")
    if len(names) != len(segments):
        return None
    pairs = list(zip(names, segments))
    if any(not name.startswith("{") and name != segment for name, segment in pairs):
        return None
    return {name.strip("{}"): segment for name, segment in pairs if name.startswith("{")}


if carrier.find_tracer():
    carrier.enable_tracing(row)
cherrypy.config.update({"environment": "embedded", "log.screen": False})
application = cherrypy.Application(Shops(), "", {"/": dict.fromkeys(row.TOOLS, True)})
