"""Requests: requests of the shop to its catalogue, and to a closed port."""

from __future__ import absolute_import

import json

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

    url = context.upstream + "/recommendations/" + context.shop
    titles = requests.get(url, timeout=10).json()["titles"]
    with requests.Session() as session:
        chunks = session.get(url, timeout=10, stream=True).iter_content(64)
        titles += json.loads(b"".join(chunks).decode("ascii"))["titles"]
    return ", ".join(titles)


def fail(context):
    import requests

    # The catalogue refuses the method.
    status = requests.delete(context.upstream + "/" + context.shop, timeout=10).status_code
    try:
        requests.get("http://127.0.0.1:1/" + context.shop, timeout=10)
    except requests.ConnectionError as error:
        # The message has the address of an object.
        raise type(error)("no connection, and status %d" % status)
