"""The lifecycle of the apps: they print the port when they listen, and end on a signal or EOF.

They may be asked to run without the tracer.
"""

from __future__ import print_function

import os
import select
import signal
import sys
import threading
import traceback

# If it is set, the app runs without the tracer: nothing of it can be imported.
BARE = "BOOKSHOP_BARE"


def forbid_tracer():
    """Make every import of the tracer fail where the app has to run without it."""
    if os.environ.get(BARE):
        sys.modules["ddtrace"] = None


def stop(*_):
    """End the program; handlers of `atexit` still run."""
    sys.exit(0)


def take_over_input():
    """Return a descriptor of standard input, and give child processes another, empty one.

    On Windows, a starting process inspects its standard input, and would block while this process
    reads from the same one.
    """
    if os.name != "nt":
        return 0
    stdin = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return stdin


def wait_for_end_of_input():
    """Return when standard input ends; its content is ignored.

    A signal just before a blocking read would only be handled after the read, so signals also write
    to a pipe, where a process can wait for one.
    """
    if os.name == "nt":
        # Not sys.stdin, whose lock would still be held when the interpreter shuts down.
        stdin = take_over_input()
        while os.read(stdin, 4096):
            pass
        return
    import fcntl

    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, fcntl.F_SETFL, fcntl.fcntl(write_end, fcntl.F_GETFL) | os.O_NONBLOCK)
    signal.set_wakeup_fd(write_end)
    while True:
        # The handler of a signal runs between any two of these lines.
        readable, _, _ = select.select([0, read_end], [], [])
        if read_end in readable:
            os.read(read_end, 4096)
        if 0 in readable and not os.read(0, 4096):
            return


def serve_until_end(listen):
    """Serve until SIGTERM, or until standard input ends because the parent process has ended.

    `listen` returns a port of 127.0.0.1 that accepts connections, and a function that serves them
    forever. It runs in a daemon thread, so that its own threads are daemons too: the interpreter
    would wait for others at its end, perhaps forever.
    """
    signal.signal(signal.SIGTERM, stop)

    def run_server():
        try:
            port, serve = listen()
        except Exception:
            traceback.print_exc()
            os._exit(1)
        spent = sum(os.times()[:2])
        print("bookshop ready 127.0.0.1:%s after %.2f s of CPU time" % (port, spent))
        sys.stdout.flush()
        serve()

    server = threading.Thread(target=run_server)
    server.daemon = True
    server.start()
    wait_for_end_of_input()
