"""gevent: a greenlet belongs to the trace of the code that spawned it.

A child process, which gevent patches as a whole, serves a request with the headers of a trace. The
request spawns greenlets, alone and in a pool, whose manual span shows their trace; another raises.
"""

from __future__ import absolute_import

import carrier

DISTRIBUTION = "gevent"
INTEGRATION = "gevent"
SPAN = {"name": "bookshop.in-greenlet"}
SERVICE = ""
# Its extension modules need the greenlet of that time, and it imports pkg_resources.
ALSO = [["<20.12", "greenlet<1"], ["<23.7", "setuptools<81"]]
# The CPythons that have wheels.
PYTHON = [
    ["<21.12", "<3.10"],
    ["<22.10", "<3.11"],
    ["<23.7", "<3.12"],
    ["<24.10", "<3.13"],
    ["<25.8", "<3.14"],
]


def patch():
    from ddtrace import patch

    patch(gevent=True)


def count(shop):
    with carrier.span("bookshop.in-greenlet"):
        return "%d letters" % len(shop)


def lose(path):
    count(path)
    raise LookupError("no such book")


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
    import gevent.pool

    continue_trace(environ)
    path = environ["PATH_INFO"]
    status = "200 OK"
    try:
        with carrier.span("bookshop.greenlets"):
            texts = [gevent.spawn(lose if path.endswith("/lost") else count, path).get()]
            texts += gevent.pool.Pool(2).map(count, [path, path])
            texts += gevent.pool.Group().imap_unordered(count, [path])
    except Exception as error:
        status = "500 Internal Server Error"
        texts = [type(error).__name__, str(error)]
    start_response(status, [("Content-Type", "text/plain")])
    return [", ".join(texts).encode("ascii")]


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
    return carrier.get_page(context.ready, "/" + context.shop)


def fail(context):
    return carrier.get_page(context.ready, "/" + context.shop + "/lost")
