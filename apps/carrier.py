"""What carries a library's experiment: an HTTP server that nothing traces, and a root span.

`GET /{shop}/` greets, and `GET /{shop}/call` calls the library's module in `libraries/`, each
inside a root span of the tracer, whose URL tells which request it is of. `GET /{shop}/fail` makes
the call that fails. Only the standard library, the tracer, and what the module imports.
"""

from __future__ import print_function

import contextlib
import importlib
import os
import re
import socket
import threading
import traceback

try:
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from socketserver import ThreadingMixIn
except ImportError:  # 2.7
    from BaseHTTPServer import BaseHTTPRequestHandler, HTTPServer
    from SocketServer import ThreadingMixIn

# Set where the library's tracing is to be asked for in code: `patch` of its module is called then.
EXPLICIT = "BOOKSHOP_EXPLICIT"
# The root span of a thread's request: where a tracer keeps the running one is its own affair.
ROOTS = threading.local()
PATH = re.compile(r"^/([^/?]+)/(call|fail)?$")


class Place(object):
    """Where a call finds what it needs.

    Of the service that the module's SERVICE names (`redis`), by variables such as
    BOOKSHOP_REDIS_PORT: `host`, `port`, `ports`, `user`, `password`, `database` and `url`; empty
    where there is none. `upstream` is the URL of an HTTP server to call, `file` an SQLite database.
    `shop` is that of the request, `ready` what the module's `prepare` returned.
    """

    def __init__(self, environ, service="", shop="", ready=None):
        prefix = "BOOKSHOP_" + service.upper().replace("-", "_") + "_"

        def told(name):
            return environ.get(prefix + name, "") if service else ""

        self.environ, self.service = environ, service
        self.shop, self.ready = shop, ready
        self.host = told("HOST") or "127.0.0.1"
        self.ports = [int(port) for port in told("PORTS").split(",") if port]
        self.port = int(told("PORT") or 0)
        self.user, self.password = told("USER"), told("PASSWORD")
        self.database, self.url = told("DATABASE"), told("URL")
        self.upstream = environ.get("BOOKSHOP_CATALOGUE_URL", "")
        self.file = environ.get("BOOKSHOP_DATABASE", ":memory:")

    def at(self, shop, ready):
        """Return the same place for a request of this shop."""
        return Place(self.environ, self.service, shop, ready)


def tracer():
    """Return the tracer, None where none is installed."""
    try:
        from ddtrace.trace import tracer as found
    except ImportError:
        try:
            from ddtrace import tracer as found
        except ImportError:
            return None
    return found


@contextlib.contextmanager
def web_span(method, url):
    """Wrap a request in a root span as a web framework's integration would make it."""
    tracing = tracer()
    if tracing is None:
        yield
        return
    path = "/" + url.split("://")[-1].partition("/")[2]
    with tracing.trace(
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
    """Return a context manager: a span of our own, nothing where no tracer is installed."""
    tracing = tracer()
    if tracing is None:
        return open(os.devnull)
    return tracing.trace(name)


def trace_headers():
    """Return the headers by which an HTTP call carries the running trace on."""
    tracing = tracer()
    now = tracing.current_span() if tracing is not None else None
    # On 3.6 the legacy provider for asyncio, once asked for, knows of none outside of a task.
    now = now or getattr(ROOTS, "span", None)
    if now is None:
        return []
    return [
        ("x-datadog-trace-id", str(now.trace_id % 2**64)),
        ("x-datadog-parent-id", str(now.span_id)),
        ("x-datadog-sampling-priority", "1"),
    ]


def get(port, path, headers=()):
    """GET from a server of this process by a plain socket: no library that might be traced."""
    lines = ["GET %s HTTP/1.0" % path, "Host: 127.0.0.1:%d" % port]
    lines += ["%s: %s" % pair for pair in headers] + ["", ""]
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    with contextlib.closing(connection):
        connection.sendall("\r\n".join(lines).encode("ascii"))
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode("utf-8", "replace")
    head, _, body = answer.partition("\r\n\r\n")
    if not head.startswith("HTTP/"):
        raise IOError("no answer from our own server on port %d" % port)
    return int(head.split()[1]), body


def call_wsgi(application, path):
    """Call a WSGI application in this thread, as its server would; return (status, body)."""
    from wsgiref.util import setup_testing_defaults

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "REMOTE_ADDR": "127.0.0.1"}
    setup_testing_defaults(environ)
    told = []

    def start_response(status, headers, exc_info=None):
        told.append(status)
        return told.append

    answer = application(environ, start_response)
    try:
        body = b"".join(answer).decode("utf-8", "replace")
    finally:
        getattr(answer, "close", lambda: None)()
    return int(told[-1].split()[0]), body


def call_asgi(application, path, headers=()):
    """Call an ASGI application in a loop of this thread, as its server would; return (status, body).

    Futures stand for coroutines: 2.7 reads this file as well.
    """
    import asyncio

    port = 8000
    named = [("host", "127.0.0.1:%d" % port)] + list(headers)
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET"}
    scope.update(scheme="http", path=path, raw_path=path.encode("ascii"), query_string=b"")
    scope.update(root_path="", client=("127.0.0.1", 1024), server=("127.0.0.1", port))
    scope["headers"] = [(name.encode("ascii"), text.encode("ascii")) for name, text in named]
    loop = asyncio.new_event_loop()
    asked = iter([{"type": "http.request", "body": b"", "more_body": False}])
    told = []

    def done(result):
        future = asyncio.Future(loop=loop)
        future.set_result(result)
        return future

    asyncio.set_event_loop(loop)
    try:
        receive = lambda: done(next(asked, {"type": "http.disconnect"}))  # noqa: E731
        loop.run_until_complete(application(scope, receive, lambda each: done(told.append(each))))
    except Exception:
        # As servers do: one request failed, with what the application said so far.
        traceback.print_exc()
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    status = [each["status"] for each in told if each["type"] == "http.response.start"]
    body = b"".join(each.get("body", b"") for each in told if each["type"] == "http.response.body")
    return (status or [500])[0], body.decode("utf-8", "replace")


def page(answer):
    """Return the body of a web framework's answer (status, body); fail where it is no page."""
    status, body = answer
    if status != 200:
        raise IOError("status %d: %s" % (status, body[:200]))
    return body


def visit(port, path):
    """GET a page of a server of this process, which takes up the running trace."""
    return page(get(port, path, trace_headers()))


def library(slug):
    """Return what listens for the library's module, its library imported and made ready."""
    module = importlib.import_module("libraries." + slug.replace("-", "_"))
    if os.environ.get(EXPLICIT):
        asked(module)
    place = Place(os.environ, module.SERVICE)
    ready = getattr(module, "prepare", lambda place: None)(place)

    def answer(what, shop):
        if what is None:
            return "Welcome to " + shop
        return getattr(module, what)(place.at(shop, ready)) or "done"

    # What is made at first use is made before anyone waits for it. A call that fails is told: a shop
    # opens whatever comes of its requests, and each of them fails again where it is asked.
    try:
        answer("call", "opening")
    except Exception:
        traceback.print_exc()
    return lambda: listen(answer)


def asked(module):
    """Ask for the library's tracing as the tracer's documentation says.

    A tracer that does not know the library refuses, and the app goes on without: it shows nothing
    then, which is the answer.
    """
    try:
        module.patch()
    except Exception:
        traceback.print_exc()


def listen(answer):
    """Return a port, and the function that serves there."""
    server = Server(("127.0.0.1", 0), type("Handler", (Handler, object), {"answer": [answer]}))
    return server.server_address[1], server.serve_forever


class Server(ThreadingMixIn, HTTPServer):
    """A thread for each request, which the program does not wait for."""

    daemon_threads = True
    request_queue_size = 64

    def server_bind(self):
        """Bind without asking a name server who we are."""
        socket_of = self.socket
        socket_of.bind(self.server_address)
        self.server_address = socket_of.getsockname()
        self.server_name, self.server_port = self.server_address[:2]


class Handler(BaseHTTPRequestHandler):
    """Answers GET."""

    answer = ()

    def do_GET(self):  # noqa: N802 - the base class's name
        """Answer as the module says, 500 where it fails."""
        found = PATH.match(self.path)
        if found is None:
            self.say(404, "no such page")
            return
        url = "http://%s%s" % (self.headers.get("Host", "127.0.0.1"), self.path)
        try:
            with web_span("GET", url):
                body = self.answer[0](found.group(2), found.group(1))
        except Exception:
            # The customer sees why, and so does whoever reads the log.
            traceback.print_exc()
            self.say(500, traceback.format_exc())
        else:
            self.say(200, body)

    def say(self, status, text):
        """Send an answer of text."""
        content = text.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Be quiet."""
