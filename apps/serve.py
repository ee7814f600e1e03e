"""Serve a bookshop app (`python serve.py flask`), or a library.

WSGI apps have a threaded server, ASGI apps uvicorn, others their framework's own.

`python serve.py library:redis` serves calls of a library. The port, a free one of 127.0.0.1, is
printed when it accepts connections. The server ends on SIGTERM, or when its standard input ends.
"""

from __future__ import print_function

import importlib
import logging
import os
import sys

import lifecycle
import loops

SHOP = "_shop"
# The module of each app, by its framework.
APPS = {
    name[: -len(SHOP)]: name + ".shop"
    for name in os.listdir(os.path.dirname(os.path.abspath(__file__)))
    if name.endswith(SHOP)
}
LIBRARY = "library:"
THREADS = 4


def web_app(name):
    """Return the `listen` function of an app, see `lifecycle.serve_until_end`."""
    # The views are in imported modules, as some tools inspect only those.
    shop = importlib.import_module(APPS[name])
    shop.open_shops()
    if shop.SERVER == "own":
        return shop.listen
    listen = {"asgi": listen_asgi, "wsgi": listen_wsgi}[shop.SERVER]
    return lambda: listen(shop.application)


def listen_wsgi(application):
    """Return a port, and the function that serves the application there."""
    from cheroot import wsgi

    server = wsgi.Server(("127.0.0.1", 0), application, numthreads=THREADS)
    server.prepare()
    return server.bind_addr[1], server.serve


def listen_asgi(application):
    """Return a port, and the function that serves the application there."""
    import uvicorn

    listener = loops.new_listener()
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))
    return listener.getsockname()[1], lambda: server.run(sockets=[listener])


def main(arguments):
    """Serve the app or library that the only argument names; return the exit code."""
    name = arguments[0] if len(arguments) == 1 else ""
    if name not in APPS and not name.startswith(LIBRARY):
        names = sorted(APPS) + [LIBRARY + "NAME"]
        print("usage: serve.py " + "|".join(names), file=sys.stderr)
        return 2
    lifecycle.forbid_tracer()
    logging.basicConfig(level=logging.WARNING)
    if name in APPS:
        listen = web_app(name)
    else:
        import carrier

        listen = carrier.library_app(name[len(LIBRARY) :])
    lifecycle.serve_until_end(listen)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
