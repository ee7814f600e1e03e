"""Pylons: a request of a WSGI application, wrapped in the tracer's middleware."""

from __future__ import absolute_import

import carrier
import pages

DISTRIBUTION = "pylons"
INTEGRATION = "pylons"
SPAN = {
    "name": "pylons.request",
    "component": "pylons",
    "resource": "books.emma",
    "type": "web",
    "tags": {"http.status_code": "200"},
}
SERVICE = ""
PYTHON = "<3"
# PasteScript 3.5 needs CPython 3 without declaring it; 0.9.6 imports names removed later.
ALSO = [
    ["", "pastescript<3.5"],
    ["<1", "routes<2"],
    ["<1", "webhelpers<1"],
    ["<1", "beaker<1.6"],
    ["<1", "mako<0.4"],
    ["<1", "webob<1"],
]
MIDDLEWARE = []


def patch():
    import pylons.wsgiapp  # noqa: F401  imported first, as documented
    from ddtrace import tracer
    from ddtrace.contrib.pylons import PylonsTraceMiddleware

    MIDDLEWARE.append(lambda app: PylonsTraceMiddleware(app, tracer, service="bookshop"))


def prepare(context):
    from paste.registry import RegistryManager
    from pylons import config
    from pylons.controllers import WSGIController
    from pylons.controllers.util import abort
    from pylons.wsgiapp import PylonsApp
    from routes import Mapper

    class Books(WSGIController):
        def emma(self):
            return "The book emma"

        def stream(self):
            return iter(["The book ", "emma"])

        def missing(self):
            abort(404, "no such book")

        def broken(self):
            raise LookupError("no such book")

    routes = Mapper()
    routes.connect("/books/:action", controller="books")
    routes.create_regs(["books"])
    settings = {"root": "", "controllers": "", "templates": [], "static_files": ""}
    config.init_app({}, {}, package="bookshop", paths=settings)
    config["routes.map"] = routes
    config["pylons.h"] = config["pylons.g"] = config["pylons.app_globals"] = Books
    app = PylonsApp()
    base = app
    while not hasattr(base, "find_controller"):
        base = getattr(base, "app", None) or base.wrap_app
    base.find_controller = lambda name: Books
    if base is app:  # from 1.0 on it has no such middleware
        from routes.middleware import RoutesMiddleware

        app = RoutesMiddleware(app, routes)
    for wrap in MIDDLEWARE:
        app = wrap(app)
    return RegistryManager(app)


def call(context):
    answers = [carrier.call_wsgi(context.ready, path) for path in ("/books/emma", "/books/stream")]
    return ", ".join(map(carrier.page_body, answers))


def fail(context):
    pages.raise_wsgi_answers(context.ready, "/books/missing", "/books/broken")
