"""The bookshop on Falcon, for all releases from 1.0."""

import json

import falcon

import endpoints
from bookshop import open_shops  # noqa: F401

SERVER = "wsgi"
TRIED = [
    ["2.7", "1.0.0", "2020-06-01"],
    ["3.8", "2.0.0", "2021-06-01"],
    ["3.11", "3.1.1", "2023-06-01"],
    ["3.13", "4.1.0", "2025-11-01"],
]


class Request(object):
    def __init__(self, request, parts):
        self.request, self.part = request, parts.get

    def query(self, name):
        return self.request.get_param(name) or ""

    def form(self, name):
        if hasattr(self.request, "get_media"):  # from 3.0
            return self.request.get_media().get(name, "")
        return self.request.get_param(name) or ""

    def content(self):
        if hasattr(self.request, "get_media"):
            return self.request.get_media()
        return json.loads(self.request.stream.read(self.request.content_length).decode("utf-8"))

    def cookie(self, name, otherwise):
        return self.request.cookies.get(name, otherwise)

    def header(self, name):
        return self.request.get_header(name) or ""


class Resource(object):
    """A path; its responders are `on_get` and `on_post`."""

    def __init__(self, path_endpoints):
        for endpoint in path_endpoints:
            setattr(self, "on_" + endpoint.method.lower(), responder_of(endpoint))


def responder_of(endpoint):
    def respond(request, response, **parts):
        status, media_type, body, headers = endpoint.function(Request(request, parts))
        response.status = getattr(falcon, "HTTP_%d" % status)
        for name, value in headers:
            response.append_header(name, value)
        response.content_type = media_type + "; charset=utf-8"
        # 3.0 introduced `text`, 4.0 removed `body`.
        setattr(response, "text" if hasattr(response, "text") else "body", body)

    return respond


application = (getattr(falcon, "App", None) or falcon.API)()  # the name until 2.0
if not hasattr(falcon.Request, "get_media"):
    application.req_options.auto_parse_form_urlencoded = True
if hasattr(application.req_options, "strip_url_path_trailing_slash"):  # before, it always does
    application.req_options.strip_url_path_trailing_slash = True
for path, path_endpoints in endpoints.paths():
    application.add_route(path.rstrip("/"), Resource(path_endpoints))
