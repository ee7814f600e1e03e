"""Requests: an HTTP request of the shop to its catalogue."""

from __future__ import absolute_import

DISTRIBUTION = "requests"
INTEGRATION = "requests"
SPAN = {"name": "requests.request", "component": "requests", "tags": {"http.method": "GET"}}
SERVICE = ""
# Its import hook for bundled packages is of a kind that 3.10 removed.
PYTHON = [["<2.9", "<3.10"]]


def prepare(context):
    import requests  # noqa: F401


def call(context):
    import requests

    return requests.get(context.upstream + "/recommendations/" + context.shop, timeout=10).text
