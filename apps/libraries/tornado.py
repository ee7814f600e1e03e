"""Tornado: a request of its own server, which takes up the caller's trace."""

from __future__ import absolute_import

import threading

import carrier

DISTRIBUTION = "tornado"
INTEGRATION = "tornado"
SPAN = {"name": "tornado.request", "component": "tornado", "tags": {"http.status_code": "200"}}
SERVICE = ""
# It makes a kind of TLS context, and imports modules, that 3.12 no longer has.
PYTHON = [["<=4.0", "<3.12"]]


def patch():
    from ddtrace import patch

    patch(tornado=True)


def serve(told):
    """Serve in this thread, whose loop must be made here."""
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
    told.append(sockets[0].getsockname()[1])
    loop = tornado.ioloop.IOLoop.current()
    loop.add_callback(told[0].set)
    loop.start()


def prepare(place):
    told = [threading.Event()]
    server = threading.Thread(target=serve, args=(told,))
    server.daemon = True
    server.start()
    if not told[0].wait(20):
        raise RuntimeError("Tornado does not start")
    return told[1]


def call(place):
    return carrier.get(place.ready, "/books/emma", carrier.trace_headers())[1]
