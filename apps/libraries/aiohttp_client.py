"""The client of aiohttp: an HTTP request of the shop to its catalogue."""

from __future__ import absolute_import

import json

import loops

DISTRIBUTION = "aiohttp"
INTEGRATION = "aiohttp"
SPAN = {
    "name": "aiohttp.request",
    "component": "aiohttp_client",
    "type": "http",
    "tags": {"http.method": "GET", "http.status_code": "200"},
}
SERVICE = ""
# Up to 2.3.2 it uses `asyncio.async`, a syntax error in 3.7; 3.9 has no Task.current_task.
PYTHON = [["<2.3.3", ">=3.5,<3.7"], ["<2.4", ">=3.5,<3.9"], ["", ">=3.5"]]
# It subclasses a class of async-timeout that became a function, and imports yarl's `unquote`.
ALSO = [["<3", "async-timeout<4"], ["<2.3.6", "yarl<1"]]


async def titles(session, url):
    """Return the titles only, as the response repeats the headers that a tracer adds."""
    async with session.get(url) as response:
        return ", ".join(json.loads(await response.text())["titles"])


async def stream(session, url):
    """Return the same, read from the stream of the response."""
    async with session.request("GET", url) as response:
        return ", ".join(json.loads((await response.content.read()).decode("utf-8"))["titles"])


async def fetch(url):
    import asyncio

    import aiohttp

    async with aiohttp.ClientSession() as session:
        first = await titles(session, url)
        others = await asyncio.gather(titles(session, url), stream(session, url))
        return "; ".join([first] + list(others))


async def fetch_from_closed_port():
    import aiohttp

    async with aiohttp.ClientSession() as session, session.get("http://127.0.0.1:1/") as response:
        return await response.text()


def prepare(context):
    import aiohttp  # noqa: F401


def call(context):
    return loops.run(fetch(context.upstream + "/recommendations/" + context.shop))


def fail(context):
    return loops.run(fetch_from_closed_port())
