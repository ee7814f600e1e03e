"""How a program of ours lives: it says which port it listens on, and ends when it is told to."""

from __future__ import print_function

import os
import select
import signal
import sys
import threading
import traceback


def stop(*_):
    """End the program; what registered with `atexit` still gets its turn."""
    sys.exit(0)


def own_input():
    """Return what to read in place of standard input, which the processes started here share.

    On Windows a process that begins looks at its standard input, and would wait there as long as
    we wait to read from the same: so it is another one from now on, at whose end it is at once.
    """
    if os.name != "nt":
        return 0
    ours = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return ours


def wait_for_the_end():
    """Return when standard input ends, however much comes before it.

    A signal that comes just before a read blocks would wait as long as the read does, so signals
    are told of by a pipe as well, where there is one to wait for.
    """
    if os.name == "nt":
        # Not sys.stdin: its lock would be held when the interpreter shuts down.
        ours = own_input()
        while os.read(ours, 4096):
            pass
        return
    import fcntl

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


def live(listen):
    """Serve until SIGTERM, or until standard input ends: whoever started us went away.

    `listen` returns a port of 127.0.0.1 that can answer, and a function that answers there for
    ever. That one runs in a daemon thread, whose pool is of daemons then: they would otherwise be
    waited for when the program ends, and may not come back.
    """
    signal.signal(signal.SIGTERM, stop)

    def serve():
        try:
            port, answer = listen()
        except Exception:
            traceback.print_exc()
            os._exit(1)
        print("bookshop ready 127.0.0.1:%s" % port)
        sys.stdout.flush()
        answer()

    server = threading.Thread(target=serve)
    server.daemon = True
    server.start()
    wait_for_the_end()
