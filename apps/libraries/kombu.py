"""Kombu: a message is sent and received, within the process and by way of Redis."""

from __future__ import absolute_import

DISTRIBUTION = "kombu"
INTEGRATION = "kombu"
SPAN = [
    {"name": "kombu.publish", "component": "kombu", "resource": "bookshop-memory"},
    {"name": "kombu.receive", "component": "kombu", "resource": "bookshop-memory"},
    {"name": "kombu.publish", "component": "kombu", "resource": "bookshop-redis"},
    {"name": "kombu.receive", "component": "kombu", "resource": "bookshop-redis"},
]
SERVICE = "redis"
# A module of it is named `async`; it imports Iterable from `collections`; the `formatargspec` of its
# company went with 3.11.
PYTHON = [["<4.2.2", "<3.7"], ["<4.3", "<3.10"], ["<5", "<3.11"]]
ALSO = [
    ["", "redis"],
    ["<4.2.2", "redis<3"],
    ["<5", "redis<4"],
    ["<5.3", "importlib-metadata<5; python_version < '3.8'"],
]


def patch():
    from ddtrace import patch

    patch(kombu=True)


def prepare(place):
    import uuid

    import kombu  # noqa: F401

    # Nobody else's: there are several of us at one server.
    return str(uuid.uuid4())


def pass_on(url, exchange, key, text):
    import kombu

    queue = kombu.Queue(key, kombu.Exchange(exchange), routing_key=key, auto_delete=True)
    told = []
    with kombu.Connection(url) as connection:
        with connection.Consumer(queue, callbacks=[lambda body, message: told.append(body)]):
            connection.Producer().publish(text, exchange=queue.exchange, routing_key=key)
            while not told:
                connection.drain_events(timeout=10)
    return told[0]


def call(place):
    key = "%s-%s" % (place.shop, place.ready)
    return ", ".join(
        pass_on(url, exchange, key, "Emma")
        for url, exchange in (("memory://", "bookshop-memory"), (place.url, "bookshop-redis"))
    )
