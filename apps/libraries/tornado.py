"""Tornado: a request to its own server, which continues the trace of the client."""

from __future__ import absolute_import

import carrier
import loops

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
    import tornado.httpserver
    import tornado.ioloop
    import tornado.netutil
    import tornado.web

    class Book(tornado.web.RequestHandler):
        def get(self):
            self.write("The book emma")

    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    server = tornado.httpserver.HTTPServer(tornado.web.Application([("/books/emma", Book)]))
    server.add_sockets(sockets)
    loop = tornado.ioloop.IOLoop.current()
    loop.add_callback(ready, sockets[0].getsockname()[1])
    loop.start()


def prepare(context):
    return loops.start_server(serve)


def call(context):
    return carrier.get(context.ready, "/books/emma", carrier.trace_headers())[1]
