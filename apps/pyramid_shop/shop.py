"""The bookshop on Pyramid, for all releases from 1.7."""

from pyramid.config import Configurator
from pyramid.response import Response

import endpoints
from bookshop import open_shops  # noqa: F401

SERVER = "wsgi"
TRIED = [
    ["2.7", "1.7", "2020-06-01"],
    ["3.8", "1.10.8", "2023-06-01"],
    ["3.13", "2.0.2", "2025-11-01"],
]


class Request(object):
    def __init__(self, request):
        self.request = request

    def part(self, name):
        return self.request.matchdict[name]

    def query(self, name):
        return self.request.GET.get(name, "")

    def form(self, name):
        return self.request.POST.get(name, "")

    def content(self):
        return self.request.json_body

    def cookie(self, name, otherwise):
        return self.request.cookies.get(name, otherwise)

    def header(self, name):
        return self.request.headers.get(name, "")


def view_of(endpoint):
    def view(request):
        status, media_type, body, headers = endpoint.function(Request(request))
        response = Response(body.encode("utf-8"), status=status, content_type=media_type)
        for name, value in headers:
            response.headers.add(str(name), str(value))
        return response

    return view


config = Configurator()
for path, path_endpoints in endpoints.paths():
    route = path_endpoints[0].name
    config.add_route(route, path)
    for endpoint in path_endpoints:
        config.add_view(view_of(endpoint), route_name=route, request_method=endpoint.method)
application = config.make_wsgi_app()
