"""Consul: a key is set and read, and a key is read in an unknown data centre."""

from __future__ import absolute_import

DISTRIBUTION = "python-consul"
INTEGRATION = "consul"
SPAN = {
    "name": "consul.command",
    "component": "consul",
    "resource": "GET",
    "type": "http",
    "tags": {"consul.key": "books/*"},
}
ERROR_SPAN = {"name": "consul.command", "component": "consul", "resource": "GET"}
STATEMENT = {"resource": "PUT", "without": "Emma"}
SERVICE = "consul"


def prepare(context):
    import consul

    return consul.Consul(host=context.host, port=context.port)


def call(context):
    key = "books/" + context.shop
    context.ready.kv.put(key, "Emma")
    return context.ready.kv.get(key)[1]["Value"].decode("ascii")


def fail(context):
    return context.ready.kv.get("books/" + context.shop, dc="nowhere")
