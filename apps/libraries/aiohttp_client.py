"""The client of aiohttp: an HTTP request of the shop to its catalogue."""

from __future__ import absolute_import

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


async def fetch(url):
    import aiohttp

    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.text()


def prepare(context):
    import aiohttp  # noqa: F401


def call(context):
    return loops.run(fetch(context.upstream + "/recommendations/" + context.shop))
