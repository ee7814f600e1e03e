"""urllib3: an HTTP request of the shop to its catalogue."""

from __future__ import absolute_import

DISTRIBUTION = "urllib3"
INTEGRATION = "urllib3"
SPAN = {"name": "urllib3.request", "component": "urllib3", "tags": {"http.method": "GET"}}
SERVICE = ""
# It imports Mapping from `collections`.
PYTHON = [["<=1.22", "<3.10"]]


def patch():
    from ddtrace import patch

    patch(urllib3=True)


def prepare(context):
    import urllib3  # noqa: F401


def call(context):
    import urllib3

    url = context.upstream + "/recommendations/" + context.shop
    return urllib3.PoolManager().request("GET", url).data.decode("utf-8")
