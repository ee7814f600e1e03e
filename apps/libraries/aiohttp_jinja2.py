"""aiohttp-jinja2: a page of a server of aiohttp is rendered; another template has a mistake."""

from __future__ import absolute_import

import carrier
import loops
import pages

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
TEMPLATES = {"shelf.html": "<h1>{{ title }}</h1>", "broken.html": "{% shelve %}"}


async def shelf(request):
    import aiohttp_jinja2

    values = {"title": request.match_info["title"]}
    return aiohttp_jinja2.render_template("shelf.html", request, values)


async def broken(request):
    import aiohttp_jinja2

    return aiohttp_jinja2.render_template("broken.html", request, {})


async def start(loop):
    """Start the server; return its port."""
    import aiohttp_jinja2
    import jinja2
    from aiohttp import web

    app = web.Application()
    aiohttp_jinja2.setup(app, loader=jinja2.DictLoader(TEMPLATES))
    app.router.add_get("/shelves/{title}", shelf)
    app.router.add_get("/broken", broken)
    runner = web.AppRunner(app)
    await runner.setup()
    server = await loop.create_server(runner.server, "127.0.0.1", 0)
    return server.sockets[0].getsockname()[1]


def serve(ready):
    """Serve in this thread, with a loop that must be created in it."""
    loop = loops.new_loop()
    ready(loop.run_until_complete(start(loop)))
    loop.run_forever()


def prepare(context):
    import aiohttp_jinja2  # noqa: F401

    return loops.start_server(serve)


def call(context):
    return carrier.get_page(context.ready, "/shelves/emma")


def fail(context):
    pages.raise_server_answers(context.ready, "/broken")
