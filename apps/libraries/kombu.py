"""Kombu: a message is sent and received, through memory and through Redis; a consumer raises."""

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
# It has a module named `async`, and imports Iterable from `collections`; its dependencies use
# `formatargspec`, which 3.11 removed.
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


def prepare(context):
    import uuid

    import kombu  # noqa: F401

    # Unique, as several apps may use the server.
    return str(uuid.uuid4())


def send_and_receive(url, exchange, key, text):
    received = []
    send(url, exchange, key, text, lambda body, message: received.append(body), received)
    return received[0]


def send(url, exchange, key, text, receive, received):
    """Send a text, and drain events until something is received, or `receive` raises."""
    import kombu

    queue = kombu.Queue(key, kombu.Exchange(exchange), routing_key=key, auto_delete=True)
    with kombu.Connection(url) as connection:
        with connection.Consumer(queue, callbacks=[receive]):
            connection.Producer().publish(text, exchange=queue.exchange, routing_key=key)
            while not received:
                connection.drain_events(timeout=10)


def call(context):
    key = "%s-%s" % (context.shop, context.ready)
    return ", ".join(
        send_and_receive(url, exchange, key, "Emma")
        for url, exchange in (("memory://", "bookshop-memory"), (context.url, "bookshop-redis"))
    )


def refuse(body, message):
    message.ack()
    raise LookupError("no such book: " + body)


def fail(context):
    key = "%s-%s-fail" % (context.shop, context.ready)
    send(context.url, "bookshop-redis", key, "Emma", refuse, [])
