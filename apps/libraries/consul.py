"""Consul: a key is set and read, and asked for in a data centre that is not there."""

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
SERVICE = "consul"


def prepare(place):
    import consul

    return consul.Consul(host=place.host, port=place.port)


def call(place):
    key = "books/" + place.shop
    place.ready.kv.put(key, "Emma")
    return place.ready.kv.get(key)[1]["Value"].decode("ascii")


def fail(place):
    return place.ready.kv.get("books/" + place.shop, dc="nowhere")
