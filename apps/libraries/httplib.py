"""The HTTP client of the standard library: `httplib` in 2.7, `http.client` in 3."""

from __future__ import absolute_import

import contextlib
import json

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


def connect(address):
    try:
        from http.client import HTTPConnection
    except ImportError:  # 2.7
        from httplib import HTTPConnection

    return contextlib.closing(HTTPConnection(address, timeout=10))


def titles(response):
    """Return the titles only, as the response repeats the headers that a tracer adds."""
    return ", ".join(json.loads(response.read().decode("utf-8"))["titles"])


def call(context):
    try:
        from urllib.request import urlopen
    except ImportError:  # 2.7
        from urllib2 import urlopen

    path = "/recommendations/" + context.shop
    with connect(context.upstream.split("//")[1]) as connection:
        connection.request("GET", path)
        first = titles(connection.getresponse())
        # The same connection again, by the methods that `request` consists of.
        connection.putrequest("GET", path)
        connection.endheaders()
        second = titles(connection.getresponse())
    with contextlib.closing(urlopen(context.upstream + path, timeout=10)) as response:
        return "; ".join([first, second, titles(response)])


def fail(context):
    with connect("127.0.0.1:1") as connection:
        connection.request("GET", "/")
