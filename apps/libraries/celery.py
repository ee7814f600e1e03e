"""Celery: a task is sent to a worker, through memory and through Redis.

The worker is a thread of this process. `distributed_tracing` of Celery's integration puts the span
of the worker in the trace of the sender, so that it can be assigned to the request.
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
# It uses `formatargspec`, which 3.11 removed; 5.3.0 accepts 3.7, which its Kombu does not support.
PYTHON = [["<5", "<3.11"], [">=5.3,<5.4", ">=3.8"]]
ALSO = [
    ["", "redis"],
    ["<5", "redis<4"],
    ["<5.3", "importlib-metadata<5; python_version < '3.8'"],
]
DONE = {}


def order(key, title):
    """Run as the task; fail without a title."""
    DONE[key].set()
    if title is None:
        raise ValueError("no title")


def start_task_worker(name, url):
    """Return a task and its running worker."""
    import uuid

    import celery
    import celery.contrib.testing.tasks  # noqa: F401  required by some releases of start_worker
    from celery.contrib.testing.worker import start_worker

    app = celery.Celery(name, broker=url)
    # Unique, as several apps may use the server.
    app.conf.task_default_queue = "bookshop-%s" % uuid.uuid4()
    task = app.task(order, name="bookshop." + name)
    worker = start_worker(app, pool="solo", perform_ping_check=False)
    worker.__enter__()
    return task, worker


def prepare(context):
    import celery  # noqa: F401

    try:
        from ddtrace import config

        config.celery["distributed_tracing"] = True
    except ImportError:
        pass
    return [
        start_task_worker("memory", "memory://"),
        start_task_worker("redis", context.url),
    ]


def send_and_wait(task, title):
    import uuid

    key = str(uuid.uuid4())
    DONE[key] = threading.Event()
    task.delay(key, title)
    if not DONE[key].wait(10):
        raise RuntimeError("no worker runs " + task.name)


def call(context):
    for task, _ in context.ready:
        send_and_wait(task, "Emma")
    return "ordered"


def fail(context):
    task, _ = context.ready[-1]
    send_and_wait(task, None)
    raise ValueError("the order failed")
