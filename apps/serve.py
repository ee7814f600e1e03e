"""Serve one of the bookshop apps under a threaded WSGI server: `python serve.py flask`.

Listens on a free port of 127.0.0.1 and says which one, in one line, as soon as it can answer. Stops
on SIGTERM, and when its standard input ends: whoever started it went away.
"""

from __future__ import print_function

import importlib
import logging
import os
import select
import signal
import sys
import threading
import traceback

from cheroot import wsgi

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

APPS = {"django": "django_shop.shop", "flask": "flask_shop.shop"}
THREADS = 4


def stop(*_):
    """End the program; what registered with `atexit` still gets its turn."""
    sys.exit(0)


def wait_for_the_end():
    """Return when standard input ends, however much comes before it.

    A signal that comes just before a read blocks would wait as long as the read does, so signals
    are told of by a pipe as well, where there is one to wait for.
    """
    if fcntl is None:
        # Not sys.stdin: its lock would be held when the interpreter shuts down.
        while os.read(0, 4096):
            pass
        return
    told, tell = os.pipe()
    fcntl.fcntl(tell, fcntl.F_SETFL, fcntl.fcntl(tell, fcntl.F_GETFL) | os.O_NONBLOCK)
    signal.set_wakeup_fd(tell)
    while True:
        # The signal's own handler runs between any two of these lines.
        readable, _, _ = select.select([0, told], [], [])
        if told in readable:
            os.read(told, 4096)
        if 0 in readable and not os.read(0, 4096):
            return


def serve(application):
    """Answer requests until the program ends, in a daemon thread, whose pool is of daemons then.

    cheroot's threads would otherwise be waited for when the program ends, and may not come back.
    """
    server = wsgi.Server(("127.0.0.1", 0), application, numthreads=THREADS)
    try:
        server.prepare()
    except Exception:
        traceback.print_exc()
        os._exit(1)
    print("bookshop ready 127.0.0.1:%s" % server.bind_addr[1])
    sys.stdout.flush()
    server.serve()


def main(arguments):
    """Serve the app that the only argument names."""
    if len(arguments) != 1 or arguments[0] not in APPS:
        print("usage: serve.py " + "|".join(sorted(APPS)), file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.WARNING)
    # The views live in imported modules, never in this one: some tools look at imports only.
    shop = importlib.import_module(APPS[arguments[0]])
    shop.open_shops()
    signal.signal(signal.SIGTERM, stop)
    server = threading.Thread(target=serve, args=(shop.application,))
    server.daemon = True
    server.start()
    wait_for_the_end()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
