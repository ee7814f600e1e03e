"""The HTTP client of the standard library: `httplib` in 2.7, `http.client` in 3."""

from __future__ import absolute_import

DISTRIBUTION = ""
INTEGRATION = "httplib"
SPAN = {
    "name": ["http.client.request", "httplib.request"],
    "component": "httplib",
    "tags": {"http.method": "GET"},
}
SERVICE = ""


def patch():
    from ddtrace import patch_all

    patch_all(httplib=True)


def call(context):
    try:
        from http.client import HTTPConnection
    except ImportError:  # 2.7
        from httplib import HTTPConnection

    connection = HTTPConnection(context.upstream.split("//")[1], timeout=10)
    try:
        connection.request("GET", "/recommendations/" + context.shop)
        return connection.getresponse().read().decode("utf-8")
    finally:
        connection.close()
