"""Event loops of asyncio, for a call of a library, or for its server in a thread."""

import threading


def new_loop():
    """Return a new loop that is set for this thread, as old releases require."""
    import asyncio

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


def run(coroutine):
    """Return the result of a coroutine, in a new loop of this thread."""
    import asyncio

    loop = new_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def new_listener():
    """Return a socket that listens on a free port of 127.0.0.1, for a server that takes one."""
    import socket

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    return listener


def start_server(serve):
    """Run `serve(report_port)` in a thread; return the port that it reports."""
    ports = []
    started = threading.Event()

    def report_port(port):
        ports.append(port)
        started.set()

    server = threading.Thread(target=serve, args=(report_port,))
    server.daemon = True
    server.start()
    if not started.wait(20):
        raise RuntimeError("the server did not start")
    return ports[0]
