"""Serve one of the bookshop apps under a threaded WSGI server: `python serve.py flask`.

Or one call of a library, behind a server of its own: `python serve.py library:redis`.

Listens on a free port of 127.0.0.1 and says which one, in one line, as soon as it can answer. Stops
on SIGTERM, and when its standard input ends: whoever started it went away.
"""

from __future__ import print_function

import importlib
import logging
import sys

import lifecycle

APPS = {"django": "django_shop.shop", "flask": "flask_shop.shop"}
LIBRARY = "library:"
THREADS = 4


def web_app(name):
    """Return what listens for the app of that name."""
    from cheroot import wsgi

    # The views live in imported modules, never in this one: some tools look at imports only.
    shop = importlib.import_module(APPS[name])
    shop.open_shops()

    def listen():
        server = wsgi.Server(("127.0.0.1", 0), shop.application, numthreads=THREADS)
        server.prepare()
        return server.bind_addr[1], server.serve

    return listen


def main(arguments):
    """Serve what the only argument names."""
    name = arguments[0] if len(arguments) == 1 else ""
    if name not in APPS and not name.startswith(LIBRARY):
        known = sorted(APPS) + [LIBRARY + "NAME"]
        print("usage: serve.py " + "|".join(known), file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.WARNING)
    if name in APPS:
        listen = web_app(name)
    else:
        import carrier

        listen = carrier.library(name[len(LIBRARY) :])
    lifecycle.live(listen)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
