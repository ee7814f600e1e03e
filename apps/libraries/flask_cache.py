"""Flask-Cache: a value is stored in memory, and one that cannot be stored.

Back ends serialise values first, and a lock cannot be serialised.
"""

from __future__ import absolute_import

import threading

DISTRIBUTION = "flask-cache"
INTEGRATION = "flask_cache"
SPAN = {
    "name": "flask_cache.cmd",
    "component": "flask_cache",
    "resource": "get*",
    "type": "cache",
    "tags": {"flask_cache.backend": "simple", "flask_cache.key": "*"},
}
ERROR_SPAN = {"name": "flask_cache.cmd", "component": "flask_cache", "resource": "set*"}
SERVICE = ""
# 0.12 imports `exceptions`; the companions that both import do not run on 3.12.
PYTHON = [["<0.13", "<3"], ["", "<3.12"]]
ALSO = [
    ["", "flask<1.0"],
    ["", "werkzeug<1.0"],
    ["", "jinja2<3"],
    ["", "markupsafe<2.1"],
    ["", "itsdangerous<1"],
]
CLASSES = []


def patch():
    from ddtrace import tracer
    from ddtrace.contrib.flask_cache import get_traced_cache

    CLASSES.append(get_traced_cache(tracer, service="bookshop"))


def prepare(context):
    import flask
    import flask_cache

    cache_class = (CLASSES or [flask_cache.Cache])[0]
    # Without routes, not even that of static files: tracers from 2.x on break the routes of Flask
    # below 1.0, which is about the row of Flask.
    app = flask.Flask("bookshop", static_folder=None)
    return app, cache_class(app, config={"CACHE_TYPE": "simple"})


def call(context):
    app, cache = context.ready
    with app.app_context():
        cache.set(context.shop, "Emma")
        return ", ".join([cache.get(context.shop)] + list(cache.get_many(context.shop)))


def fail(context):
    app, cache = context.ready
    with app.app_context():
        cache.set(context.shop, threading.Lock())
