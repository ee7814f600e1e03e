"""Flask-Cache: a value is kept in memory, and one that cannot be kept.

A threading lock cannot be serialised, which is what each back end does first.
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
# 0.12 imports `exceptions`; companions of its era, whose names both import, do not run on 3.12.
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
    import flask_cache
    from ddtrace import tracer
    from ddtrace.contrib.flask_cache import get_traced_cache

    CLASSES.append(get_traced_cache(tracer, service="bookshop", cache_cls=flask_cache.Cache))


def prepare(place):
    import flask
    import flask_cache

    made = (CLASSES or [flask_cache.Cache])[0]
    app = flask.Flask("bookshop")
    return app, made(app, config={"CACHE_TYPE": "simple"})


def call(place):
    app, cache = place.ready
    with app.app_context():
        cache.set(place.shop, "Emma")
        return cache.get(place.shop)


def fail(place):
    app, cache = place.ready
    with app.app_context():
        cache.set(place.shop, threading.Lock())
