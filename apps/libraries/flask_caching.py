"""Flask-Caching: a value is stored in memory, and one that cannot be stored.

The back end serialises values first, and a lock cannot be serialised.
"""

from __future__ import absolute_import

import threading

DISTRIBUTION = "flask-caching"
INTEGRATION = "flask_cache"
SPAN = {
    "name": "flask_cache.cmd",
    "component": "flask_cache",
    "resource": "get*",
    "type": "cache",
    "tags": {"flask_cache.backend": "SimpleCache", "flask_cache.key": "*"},
}
ERROR_SPAN = {"name": "flask_cache.cmd", "component": "flask_cache", "resource": "set*"}
SERVICE = ""
# It imports what Werkzeug 3 removed by way of Flask.
ALSO = [["<2.0.2", "flask<2.1"], ["<2.0.2", "werkzeug<2.1"]]
CLASSES = []


def patch():
    import flask_caching
    from ddtrace.contrib.flask_cache import get_traced_cache

    CLASSES.append(get_traced_cache(service="bookshop", cache_cls=flask_caching.Cache))


def prepare(context):
    import flask
    import flask_caching

    cache_class = (CLASSES or [flask_caching.Cache])[0]
    app = flask.Flask("bookshop", static_folder=None)
    return app, cache_class(app, config={"CACHE_TYPE": "SimpleCache"})


def call(context):
    app, cache = context.ready
    with app.app_context():
        cache.set(context.shop, "Emma")
        return ", ".join([cache.get(context.shop)] + list(cache.get_many(context.shop)))


def fail(context):
    app, cache = context.ready
    with app.app_context():
        cache.set(context.shop, threading.Lock())
