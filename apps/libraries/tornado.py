"""Tornado: a request to its own server, which continues the trace of the client."""

from __future__ import absolute_import

import carrier
import loops
import pages

DISTRIBUTION = "tornado"
INTEGRATION = "tornado"
SPAN = {"name": "tornado.request", "component": "tornado", "tags": {"http.status_code": "200"}}
SERVICE = ""
# It uses a kind of TLS context, and modules, that 3.12 removed.
PYTHON = [["<=4.0", "<3.12"]]


def patch():
    from ddtrace import patch

    patch(tornado=True)


def serve(ready):
    """Serve in this thread, with a loop that must be created in it."""
    try:
        import asyncio

        asyncio.set_event_loop(asyncio.new_event_loop())
    except ImportError:  # 2.7
        pass
    import tornado.gen
    import tornado.httpserver
    import tornado.ioloop
    import tornado.netutil
    import tornado.web

    class Book(tornado.web.RequestHandler):
        def get(self):
            self.write("The book emma")

        def write_error(self, status, **context):
            self.finish("%s: %s" % (context["exc_info"][0].__name__, context["exc_info"][1]))

    class Stream(Book):
        @tornado.gen.coroutine
        def get(self):
            self.write("The book ")
            yield self.flush()
            self.write("emma")

    class Missing(Book):
        def get(self):
            raise tornado.web.HTTPError(404, "no such book")

    class Broken(Book):
        @tornado.gen.coroutine
        def get(self):
            yield tornado.gen.moment
            raise LookupError("no such book")

    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    routes = [("/books/emma", Book)]
    routes += [("/" + each.__name__.lower(), each) for each in (Stream, Missing, Broken)]
    server = tornado.httpserver.HTTPServer(tornado.web.Application(routes))
    server.add_sockets(sockets)
    loop = tornado.ioloop.IOLoop.current()
    loop.add_callback(ready, sockets[0].getsockname()[1])
    loop.start()


def prepare(context):
    return loops.start_server(serve)


def call(context):
    return ", ".join(carrier.get_page(context.ready, path) for path in ("/books/emma", "/stream"))


def fail(context):
    pages.raise_server_answers(context.ready, "/missing", "/broken")
