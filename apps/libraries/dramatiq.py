"""Dramatiq: a message is sent to an actor, which a worker of this process calls; a bad message."""

from __future__ import absolute_import

import threading

DISTRIBUTION = "dramatiq"
INTEGRATION = "dramatiq"
SPAN = {
    "name": "dramatiq.Actor.send_with_options",
    "type": "worker",
    "tags": {"actor.name": "order"},
}
ERROR_SPAN = {"name": "dramatiq.Actor.send_with_options"}
SERVICE = "redis"
ALSO = [["", "redis"]]
ORDERS = {}
DONE = {}


def order(key, title):
    """Run as the actor; the second call for a key is the last one."""
    ORDERS[key].append(title)
    if len(ORDERS[key]) == 2:
        DONE[key].set()


def prepare(context):
    import uuid

    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    broker = RedisBroker(host=context.host, port=context.port, namespace="bookshop")
    dramatiq.set_broker(broker)
    # Unique, as several apps may use the server.
    actor = dramatiq.actor(order, broker=broker, queue_name="bookshop-%s" % uuid.uuid4())
    dramatiq.Worker(broker, worker_threads=1).start()
    return actor


def call(context):
    import uuid

    key = str(uuid.uuid4())
    ORDERS[key], DONE[key] = [], threading.Event()
    context.ready.send(key, "Emma")
    context.ready.send_with_options(args=(key, "Kokoro"))
    if not DONE[key].wait(10):
        raise RuntimeError("no worker calls the actor")
    return ", ".join(ORDERS[key])


def fail(context):
    # What JSON cannot express cannot be sent.
    context.ready.send(threading.Lock(), context.shop)
