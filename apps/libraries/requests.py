"""Requests: an HTTP call of the shop to its catalogue."""

from __future__ import absolute_import

DISTRIBUTION = "requests"
INTEGRATION = "requests"
SPAN = {"name": "requests.request", "component": "requests", "tags": {"http.method": "GET"}}
SERVICE = ""
# Its import hook for what it brings along is of a kind that 3.10 no longer asks.
PYTHON = [["<2.9", "<3.10"]]


def prepare(place):
    import requests  # noqa: F401


def call(place):
    import requests

    return requests.get(place.upstream + "/recommendations/" + place.shop, timeout=10).text
