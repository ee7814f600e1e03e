"""urllib3: requests of the shop to its catalogue, and to a closed port."""

from __future__ import absolute_import

import json

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
    pool = urllib3.PoolManager()
    response = pool.request("GET", url, preload_content=False)
    contents = [pool.request("GET", url).data, b"".join(response.stream(64))]
    response.release_conn()
    return ", ".join(", ".join(json.loads(data.decode("ascii"))["titles"]) for data in contents)


def fail(context):
    import urllib3

    pool = urllib3.PoolManager()
    # The catalogue refuses the method.
    status = pool.request("DELETE", context.upstream + "/" + context.shop).status
    try:
        pool.request("GET", "http://127.0.0.1:1/" + context.shop, retries=1)
    except urllib3.exceptions.MaxRetryError as error:
        # The message has the address of an object.
        causes = (type(error).__name__, type(error.reason).__name__, status)
        raise urllib3.exceptions.HTTPError("%s by %s, and status %d" % causes)
