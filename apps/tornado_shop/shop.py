"""The bookshop on Tornado, for all releases from 4.0, with its own server.

It takes a call to trace it, as the tracer documents.
"""

import json

import tornado.httpserver
import tornado.ioloop
import tornado.netutil
import tornado.web

import carrier
import endpoints
from bookshop import open_shops  # noqa: F401
from libraries import tornado as row

SERVER = "own"
TRIED = [
    ["2.7", "4.0", "2020-06-01"],
    ["3.6", "5.1.1", "2021-06-01"],
    ["3.11", "6.3.2", "2023-06-01"],
    ["3.13", "6.5.2", "2025-11-01"],
]


class Request(object):
    def __init__(self, handler, parts):
        self.handler, self.part = handler, parts.get

    def query(self, name):
        return self.handler.get_query_argument(name, "")

    def form(self, name):
        return self.handler.get_body_argument(name, "")

    def content(self):
        return json.loads(self.handler.request.body.decode("utf-8"))

    def cookie(self, name, otherwise):
        return self.handler.get_cookie(name, otherwise)

    def header(self, name):
        return self.handler.request.headers.get(name, "")


def handler_of(path_endpoints):
    """Return a class whose methods, such as `get`, respond."""
    responders = {each.method.lower(): responder_of(each) for each in path_endpoints}
    return type("Handler", (tornado.web.RequestHandler,), responders)


def responder_of(endpoint):
    def respond(self, **parts):
        status, media_type, body, headers = endpoint.function(Request(self, parts))
        self.set_status(status)
        self.set_header("Content-Type", media_type + "; charset=UTF-8")
        for name, value in headers:
            self.add_header(name, value)
        self.finish(body)

    return respond


def pattern_of(path):
    return path.replace("{", "(?P<").replace("}", ">[^/]+)")


def listen():
    """Return a port, and the function that serves there in the same thread: it has a loop."""
    try:
        import asyncio

        asyncio.set_event_loop(asyncio.new_event_loop())
    except ImportError:  # 2.7
        pass
    routes = [(pattern_of(path), handler_of(own)) for path, own in endpoints.paths()]
    server = tornado.httpserver.HTTPServer(tornado.web.Application(routes))
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    return sockets[0].getsockname()[1], tornado.ioloop.IOLoop.current().start


if carrier.find_tracer():
    carrier.enable_tracing(row)
