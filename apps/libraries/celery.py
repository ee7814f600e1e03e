"""Celery: a task is sent to a worker, within the process and by way of Redis.

The worker is a thread of ours. Its span is to be in the trace of who sent the task, so that it can
be told whose it is: Celery's integration does that when it is asked to.
"""

from __future__ import absolute_import

import threading

DISTRIBUTION = "celery"
INTEGRATION = "celery"
SPAN = [
    {"name": "celery.apply", "component": "celery", "resource": "bookshop.memory"},
    {"name": "celery.run", "component": "celery", "resource": "bookshop.memory", "type": "worker"},
    {"name": "celery.apply", "component": "celery", "resource": "bookshop.redis"},
    {"name": "celery.run", "component": "celery", "resource": "bookshop.redis", "type": "worker"},
]
ERROR_SPAN = {"name": "celery.run", "component": "celery", "resource": "bookshop.redis"}
SERVICE = "redis"
# Its `formatargspec` went with 3.11; 5.3.0 lets in 3.7, for which there is no Kombu of its own.
PYTHON = [["<5", "<3.11"], [">=5.3,<5.4", ">=3.8"]]
ALSO = [
    ["", "redis"],
    ["<5", "redis<4"],
    ["<5.3", "importlib-metadata<5; python_version < '3.8'"],
]
DONE = {}


def order(key, title):
    """Be the task."""
    DONE[key].set()
    if title is None:
        raise ValueError("no title")


def employ(name, url):
    """Return a task whose worker is at work."""
    import uuid

    import celery
    import celery.contrib.testing.tasks  # noqa: F401  which some releases of the next insist on
    from celery.contrib.testing.worker import start_worker

    app = celery.Celery(name, broker=url)
    # Nobody else's: there are several of us at one server.
    app.conf.task_default_queue = "bookshop-%s" % uuid.uuid4()
    task = app.task(order, name="bookshop." + name)
    worker = start_worker(app, pool="solo", perform_ping_check=False)
    worker.__enter__()
    return task, worker


def prepare(place):
    import celery  # noqa: F401

    try:
        from ddtrace import config

        config.celery["distributed_tracing"] = True
    except ImportError:
        pass
    return [employ("memory", "memory://"), employ("redis", place.url)]


def ask(task, title):
    import uuid

    key = str(uuid.uuid4())
    DONE[key] = threading.Event()
    task.delay(key, title)
    if not DONE[key].wait(10):
        raise RuntimeError("nobody does " + task.name)


def call(place):
    for task, _ in place.ready:
        ask(task, "Emma")
    return "ordered"


def fail(place):
    task, _ = place.ready[-1]
    ask(task, None)
    raise ValueError("the order failed")
