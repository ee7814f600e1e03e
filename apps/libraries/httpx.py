"""HTTPX: requests of the shop to its catalogue, also by asyncio, and to a closed port."""

from __future__ import absolute_import

import json

import loops

DISTRIBUTION = "httpx"
INTEGRATION = "httpx"
SPAN = {
    "name": "http.request",
    "component": "httpx",
    "type": "http",
    "tags": {"http.method": "GET", "http.status_code": "200"},
}
ERROR_SPAN = {"name": "http.request", "component": "httpx"}
SERVICE = ""
PYTHON = ">=3.6"


def patch():
    from ddtrace import patch

    patch(httpx=True)


def prepare(context):
    import httpx  # noqa: F401


async def fetch(url):
    import httpx

    async with httpx.AsyncClient() as client:
        return (await client.get(url)).json()["titles"]


def call(context):
    import httpx

    url = context.upstream + "/recommendations/" + context.shop
    titles = httpx.get(url).json()["titles"] + loops.run(fetch(url))
    with httpx.Client() as client, client.stream("GET", url) as response:
        titles += json.loads(b"".join(response.iter_bytes()).decode("ascii"))["titles"]
    return ", ".join(titles)


def fail(context):
    import httpx

    # The catalogue refuses the method.
    status = httpx.delete(context.upstream + "/" + context.shop).status_code
    try:
        loops.run(fetch("http://127.0.0.1:1/"))
    except httpx.ConnectError:
        pass
    try:
        httpx.get("http://127.0.0.1:1/")
    except httpx.ConnectError as error:
        raise type(error)("%s, and status %d" % (error, status))
