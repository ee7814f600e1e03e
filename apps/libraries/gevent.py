"""gevent: a greenlet belongs to the trace of the code that spawned it.

A child process, which gevent patches as a whole, serves a request with the headers of a trace. The
request spawns a greenlet, whose manual span shows its trace.
"""

from __future__ import absolute_import

import carrier

DISTRIBUTION = "gevent"
INTEGRATION = "gevent"
SPAN = {"name": "bookshop.in-greenlet"}
SERVICE = ""
# Its extension modules need the greenlet of that time.
ALSO = [["<20.12", "greenlet<1"]]
# The CPythons that have wheels.
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


def continue_trace(environ):
    """Activate the trace of the client, if its headers name one."""
    tracer = carrier.find_tracer()
    if tracer is None:
        return
    from ddtrace.propagation.http import HTTPPropagator

    headers = [(key[5:].replace("_", "-").lower(), environ[key]) for key in environ]
    trace_context = HTTPPropagator.extract(dict(headers))
    if trace_context.trace_id:
        tracer.context_provider.activate(trace_context)


def application(environ, start_response):
    import gevent

    continue_trace(environ)
    with carrier.span("bookshop.greenlets"):
        text = gevent.spawn(count, environ["PATH_INFO"]).get()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode("ascii")]


def child(report_port):
    from gevent import monkey

    monkey.patch_all()
    from gevent.pywsgi import WSGIServer

    server = WSGIServer(("127.0.0.1", 0), application, log=None)
    server.start()
    report_port(server.server_port)
    server.serve_forever()


def prepare(context):
    import children

    return children.start("gevent")


def call(context):
    status, body = carrier.get(context.ready, "/" + context.shop, carrier.trace_headers())
    if status != 200:
        raise OSError("status %d: %s" % (status, body))
    return body
