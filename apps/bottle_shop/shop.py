"""The bookshop on Bottle, for all releases from 0.11."""

import bottle

import endpoints
from bookshop import open_shops  # noqa: F401

SERVER = "wsgi"
TRIED = [
    ["2.7", "0.11.1", "2020-06-01"],
    ["3.11", "0.12.25", "2023-06-01"],
    ["3.13", "0.13.4", "2025-11-01"],
]


class Request(object):
    def __init__(self, parts):
        self.part = parts.get

    def query(self, name):
        return bottle.request.query.get(name, "")

    def form(self, name):
        return bottle.request.forms.get(name, "")

    def content(self):
        return bottle.request.json

    def cookie(self, name, otherwise):
        return bottle.request.get_cookie(name, otherwise)

    def header(self, name):
        return bottle.request.headers.get(name, "")


def view_of(endpoint):
    def view(**parts):
        status, media_type, body, headers = endpoint.function(Request(parts))
        bottle.response.status = status
        for name, value in headers:
            bottle.response.add_header(name, value)
        bottle.response.content_type = media_type + "; charset=UTF-8"
        return body

    return view


application = bottle.Bottle()
for endpoint in endpoints.ENDPOINTS:
    rule = endpoint.path.replace("{", "<").replace("}", ">")
    application.route(rule, endpoint.method, view_of(endpoint))
