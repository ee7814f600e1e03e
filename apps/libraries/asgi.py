"""ASGI: a request of a WSGI application in asgiref, wrapped in the tracer's middleware."""

from __future__ import absolute_import

import carrier

DISTRIBUTION = "asgiref"
INTEGRATION = "asgi"
SPAN = {
    "name": "asgi.request",
    "component": "asgi",
    "resource": "GET *",
    "type": "web",
    "tags": {"http.status_code": "200"},
}
SERVICE = ""
PYTHON = ">=3.5"
MIDDLEWARE = []


def patch():
    import sys

    from ddtrace.contrib.asgi import TraceMiddleware

    if sys.version_info < (3, 7):
        from ddtrace import tracer
        from ddtrace.contrib.asyncio.provider import AsyncioContextProvider

        tracer.configure(context_provider=AsyncioContextProvider())
    MIDDLEWARE.append(TraceMiddleware)


def book(environ, start_response):
    if environ["PATH_INFO"] == "/broken":
        raise LookupError("no such book")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"The book emma"] if environ["PATH_INFO"] == "/books/emma" else stream()


def stream():
    yield b"The book "
    yield b"emma"


def single_callable(application):
    """Return an ASGI 3 application for one of ASGI 2, which asgiref creates before 3.0."""

    async def application_3(scope, receive, send):
        await application(scope)(receive, send)

    return application_3


def prepare(context):
    import asgiref
    from asgiref.wsgi import WsgiToAsgi

    app = WsgiToAsgi(book)
    if asgiref.__version__.startswith("2."):
        app = single_callable(app)
    for middleware in MIDDLEWARE:
        app = middleware(app)
    return app


def call(context):
    headers = carrier.trace_headers()
    paths = ("/books/emma", "/stream")
    answers = [carrier.call_asgi(context.ready, path, headers) for path in paths]
    return ", ".join(map(carrier.page_body, answers))


def fail(context):
    errors = []

    async def observe(scope, receive, send):
        try:
            await context.ready(scope, receive, send)
        except Exception as error:
            errors.append(error)
            raise

    response = carrier.call_asgi(observe, "/broken", carrier.trace_headers())
    if errors:  # a server would answer 500
        raise errors[0]
    return carrier.page_body(response)
