"""aiohttp as a client: an HTTP call of the shop to its catalogue."""

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
# Up to 2.3.2 it says `asyncio.async`, which 3.7 does not parse; 3.9 has no Task.current_task.
PYTHON = [["<2.3.3", ">=3.5,<3.7"], ["<2.4", ">=3.5,<3.9"], ["", ">=3.5"]]
# It derives a class of async-timeout's, which is a function later, and imports yarl's `unquote`.
ALSO = [["<3", "async-timeout<4"], ["<2.3.6", "yarl<1"]]


async def ask(url):
    import aiohttp

    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.text()


def prepare(place):
    import aiohttp  # noqa: F401


def call(place):
    return loops.run(ask(place.upstream + "/recommendations/" + place.shop))
