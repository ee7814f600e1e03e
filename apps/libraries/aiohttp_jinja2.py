"""aiohttp-jinja2: a template is rendered for a request of aiohttp; another one has a mistake.

The request is made without a server, in the loop of the call, as nothing here is about servers.
"""

from __future__ import absolute_import

import loops

DISTRIBUTION = "aiohttp-jinja2"
INTEGRATION = "aiohttp_jinja2"
SPAN = {
    "name": "aiohttp.template",
    "component": "aiohttp_jinja2",
    "type": "template",
    "tags": {"aiohttp.template": "*/shelf.html"},
}
ERROR_SPAN = {"name": "aiohttp.template", "component": "aiohttp_jinja2"}
SERVICE = ""
PYTHON = ">=3.6"
TEMPLATES = {"shelf.html": "<h1>{{ shop }}</h1>", "broken.html": "{% shelve %}"}


def prepare(context):
    import aiohttp_jinja2  # noqa: F401


async def render(name, shop):
    import aiohttp_jinja2
    import jinja2
    from aiohttp import web
    from aiohttp.test_utils import make_mocked_request

    app = web.Application()
    aiohttp_jinja2.setup(app, loader=jinja2.DictLoader(TEMPLATES))
    request = make_mocked_request("GET", "/", app=app)
    return aiohttp_jinja2.render_template(name, request, {"shop": shop}).text


def call(context):
    return loops.run(render("shelf.html", context.shop))


def fail(context):
    return loops.run(render("broken.html", context.shop))
