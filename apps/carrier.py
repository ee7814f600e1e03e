"""The HTTP server for the experiment of a library; the tracer does not trace the server itself.

`GET /{shop}/call`, `GET /{shop}/fail` and `GET /{shop}/wait` call these functions of the library's module in
`libraries/`; `GET /{shop}/` only greets. Each request is in a root span, whose URL identifies it.
Only the standard library, the tracer, and the imports of the module are used.
"""

from __future__ import print_function

import contextlib
import importlib
import os
import re
import socket
import sys
import threading
import traceback

try:
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from socketserver import ThreadingMixIn
except ImportError:  # 2.7
    from BaseHTTPServer import BaseHTTPRequestHandler, HTTPServer
    from SocketServer import ThreadingMixIn

# If it is set, tracing is enabled in code, by `patch` of the library's module.
EXPLICIT = "BOOKSHOP_EXPLICIT"
# The root span of each thread's request; the place of the active span depends on the tracer.
ROOTS = threading.local()
PATH = re.compile(r"^/([^/?]+)/(call|fail|wait)?$")


class CallContext(object):
    """The values that a call needs.

    `host`, `port`, `ports`, `user`, `password`, `database` and `url` are those of the service that
    SERVICE of the module names, from variables such as BOOKSHOP_REDIS_PORT; empty if unset.
    `upstream` is the URL of an HTTP server to call, `file` an SQLite database, `shop` that of the
    request, and `ready` the value that `prepare` of the module returned.
    """

    def __init__(self, environ, service="", shop="", ready=None):
        prefix = "BOOKSHOP_" + service.upper().replace("-", "_") + "_"

        def read(name):
            return environ.get(prefix + name, "") if service else ""

        self.environ, self.service = environ, service
        self.shop, self.ready = shop, ready
        self.host = read("HOST") or "127.0.0.1"
        self.ports = [int(port) for port in read("PORTS").split(",") if port]
        self.port = int(read("PORT") or 0)
        self.user, self.password = read("USER"), read("PASSWORD")
        self.database, self.url = read("DATABASE"), read("URL")
        self.upstream = environ.get("BOOKSHOP_CATALOGUE_URL", "")
        self.file = environ.get("BOOKSHOP_DATABASE", ":memory:")

    def for_request(self, shop, ready):
        """Return the context of a request for this shop."""
        return CallContext(self.environ, self.service, shop, ready)


def find_tracer():
    """Return the tracer, None if none is installed."""
    try:
        from ddtrace.trace import tracer
    except ImportError:
        try:
            from ddtrace import tracer
        except ImportError:
            return None
    return tracer


@contextlib.contextmanager
def web_span(method, url):
    """Wrap a request in a root span, like the integration of a web framework."""
    tracer = find_tracer()
    if tracer is None:
        yield
        return
    path = "/" + url.split("://")[-1].partition("/")[2]
    with tracer.trace(
        "bookshop.request", service="bookshop", resource=method + " " + path, span_type="web"
    ) as span:
        set_tag = getattr(span, "set_tag", None) or span._set_attribute
        set_tag("http.method", method)
        set_tag("http.url", url)
        ROOTS.span = span
        try:
            yield
        finally:
            ROOTS.span = None


def span(name):
    """Return a context manager of a manual span, or of nothing if no tracer is installed."""
    tracer = find_tracer()
    if tracer is None:
        return open(os.devnull)
    return tracer.trace(name)


def trace_headers():
    """Return the headers of an HTTP call that propagate the active trace."""
    tracer = find_tracer()
    active = tracer.current_span() if tracer is not None else None
    # On 3.6, the legacy provider for asyncio has no active span outside of a task.
    active = active or getattr(ROOTS, "span", None)
    if active is None:
        return []
    return [
        ("x-datadog-trace-id", str(active.trace_id % 2**64)),
        ("x-datadog-parent-id", str(active.span_id)),
        ("x-datadog-sampling-priority", "1"),
    ]


def get(port, path, headers=()):
    """GET from a server of this process by a plain socket, as an HTTP library may be traced."""
    lines = ["GET %s HTTP/1.0" % path, "Host: 127.0.0.1:%d" % port]
    lines += ["%s: %s" % pair for pair in headers] + ["", ""]
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    with contextlib.closing(connection):
        connection.sendall("\r\n".join(lines).encode("ascii"))
        response = b"".join(iter(lambda: connection.recv(65536), b"")).decode("utf-8", "replace")
    head, _, body = response.partition("\r\n\r\n")
    if not head.startswith("HTTP/"):
        raise IOError("no response from the server on port %d" % port)
    return int(head.split()[1]), body


def call_wsgi(application, path):
    """Call a WSGI application in this thread, like a server; return (status, body)."""
    from wsgiref.util import setup_testing_defaults

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "REMOTE_ADDR": "127.0.0.1"}
    setup_testing_defaults(environ)
    statuses = []

    def start_response(status, headers, exc_info=None):
        statuses.append(status)
        return statuses.append

    chunks = application(environ, start_response)
    try:
        body = b"".join(chunks).decode("utf-8", "replace")
    finally:
        getattr(chunks, "close", lambda: None)()
    return int(statuses[-1].split()[0]), body


def call_asgi(application, path, headers=()):
    """Call an ASGI application in a loop of this thread, like a server; return (status, body).

    It uses futures instead of coroutines, as 2.7 must be able to read this file.
    """
    import asyncio

    port = 8000
    all_headers = [("host", "127.0.0.1:%d" % port)] + list(headers)
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET"}
    scope.update(scheme="http", path=path, raw_path=path.encode("ascii"), query_string=b"")
    scope.update(root_path="", client=("127.0.0.1", 1024), server=("127.0.0.1", port))
    scope["headers"] = [(name.encode("ascii"), text.encode("ascii")) for name, text in all_headers]
    loop = asyncio.new_event_loop()
    requests = iter([{"type": "http.request", "body": b"", "more_body": False}])
    events = []

    def done(result):
        future = asyncio.Future(loop=loop)
        future.set_result(result)
        return future

    asyncio.set_event_loop(loop)
    try:
        receive = lambda: done(next(requests, {"type": "http.disconnect"}))  # noqa: E731
        send = lambda event: done(events.append(event))  # noqa: E731
        loop.run_until_complete(application(scope, receive, send))
    except Exception:
        # Like servers: only this request fails, with the events so far.
        traceback.print_exc()
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    statuses = [item["status"] for item in events if item["type"] == "http.response.start"]
    bodies = [item.get("body", b"") for item in events if item["type"] == "http.response.body"]
    return (statuses or [500])[0], b"".join(bodies).decode("utf-8", "replace")


def page_body(response):
    """Return the body of a response (status, body); raise IOError unless the status is 200."""
    status, body = response
    if status != 200:
        raise IOError("status %d: %s" % (status, body[:200]))
    return body


def get_page(port, path):
    """GET a page of a server of this process, with the headers of the active trace."""
    return page_body(get(port, path, trace_headers()))


def library_app(slug):
    """Return the `listen` function of a library's module, which is imported and prepared."""
    module = importlib.import_module("libraries." + slug.replace("-", "_"))
    if os.environ.get(EXPLICIT):
        enable_tracing(module)
    context = CallContext(os.environ, module.SERVICE)
    ready = getattr(module, "prepare", lambda context: None)(context)

    def respond(function, shop):
        if function is None:
            return "Welcome to " + shop
        return getattr(module, function)(context.for_request(shop, ready)) or "done"

    # The first call, which may be slow, is made before any request. If it fails, the error is
    # printed and the server starts: requests will fail in the same way.
    try:
        respond("call", "opening")
    except Exception:
        traceback.print_exc()
    return lambda: listen(respond)


def enable_tracing(module):
    """Enable the tracing of the library in code, as the tracer's documentation says.

    If the tracer does not support the library, the error is printed, and the app runs untraced.
    """
    try:
        module.patch()
    except Exception:
        traceback.print_exc()


def listen(respond):
    """Return a port, and the function that serves it."""
    server = Server(("127.0.0.1", 0), type("Handler", (Handler, object), {"respond": [respond]}))
    return server.server_address[1], server.serve_forever


class Server(ThreadingMixIn, HTTPServer):
    """A server with a daemon thread for each request."""

    daemon_threads = True
    request_queue_size = 64

    def server_bind(self):
        """Bind without a DNS lookup of the host name."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]


class Handler(BaseHTTPRequestHandler):
    """Handles GET requests. `respond` is in a list, so that it is not bound as a method."""

    respond = ()

    def do_GET(self):  # noqa: N802 - the base class's name
        """Send the result of the module's function, or 500 with the exception."""
        match = PATH.match(self.path)
        if match is None:
            self.send_text(404, "no such page")
            return
        url = "http://%s%s" % (self.headers.get("Host", "127.0.0.1"), self.path)
        try:
            with web_span("GET", url):
                body = self.respond[0](match.group(2), match.group(1))
        except Exception:
            # Its type and message are the response; the traceback, which leads through the tracer
            # where there is one, is in the log.
            traceback.print_exc()
            self.send_text(500, "".join(traceback.format_exception_only(*sys.exc_info()[:2])))
        else:
            self.send_text(200, body)

    def send_text(self, status, text):
        """Send a response of plain text."""
        content = text.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Log no requests."""
