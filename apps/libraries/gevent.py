"""gevent: what a greenlet does belongs to the trace of who spawned it.

A process of its own, patched by gevent as a whole, serves a request that carries a trace on. A span
of our own, in a greenlet that the request spawns, tells whose trace it is in.
"""

from __future__ import absolute_import

import carrier

DISTRIBUTION = "gevent"
INTEGRATION = "gevent"
SPAN = {"name": "bookshop.in-greenlet"}
SERVICE = ""
# Its compiled part is for greenlet of its time.
ALSO = [["<20.12", "greenlet<1"]]
# Those that wheels were made for.
PYTHON = [
    ["<21.12", "<3.10"],
    ["<22.10", "<3.11"],
    ["<23.7", "<3.12"],
    ["<24.10", "<3.13"],
    ["<25.8", "<3.14"],
]


def count(shop):
    with carrier.span("bookshop.in-greenlet"):
        return "%d letters" % len(shop)


def carry_on(environ):
    """Take up the caller's trace, where there is one."""
    tracing = carrier.tracer()
    if tracing is None:
        return
    from ddtrace.propagation.http import HTTPPropagator

    headers = [(key[5:].replace("_", "-").lower(), environ[key]) for key in environ]
    context = HTTPPropagator.extract(dict(headers))
    if context.trace_id:
        tracing.context_provider.activate(context)


def application(environ, start_response):
    import gevent

    carry_on(environ)
    with carrier.span("bookshop.greenlets"):
        said = gevent.spawn(count, environ["PATH_INFO"]).get()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [said.encode("ascii")]


def child(say):
    from gevent import monkey

    monkey.patch_all()
    from gevent.pywsgi import WSGIServer

    server = WSGIServer(("127.0.0.1", 0), application, log=None)
    server.start()
    say(server.server_port)
    server.serve_forever()


def prepare(place):
    import children

    return children.start("gevent")


def call(place):
    status, body = carrier.get(place.ready, "/" + place.shop, carrier.trace_headers())
    if status != 200:
        raise OSError("status %d: %s" % (status, body))
    return body
