"""Loops of asyncio for libraries that want one: for a call, or for a server in its own thread."""

import threading


def new():
    """Return a new loop, this thread's from now on: old releases take it from there."""
    import asyncio

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


def run(coroutine):
    """Return what a coroutine returns, in a loop of this thread that is made for it."""
    import asyncio

    loop = new()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def port_of(serve):
    """Run `serve(ready)` in a thread; return the port with which it calls `ready`."""
    told = []
    started = threading.Event()

    def ready(port):
        told.append(port)
        started.set()

    server = threading.Thread(target=serve, args=(ready,))
    server.daemon = True
    server.start()
    if not started.wait(20):
        raise RuntimeError("the server does not start")
    return told[0]
