"""Mako: a template is rendered, and one that calls a function that raises."""

from __future__ import absolute_import

DISTRIBUTION = "mako"
INTEGRATION = "mako"
SPAN = {"name": "*template.render*", "component": "mako"}
SERVICE = ""
# Before 0.8 it is Python 2, or is converted by a tool that no longer exists; 0.8 imports `imp`.
PYTHON = [["<0.8", "<3"], ["<0.9", "<3.12"]]


def prepare(context):
    import mako.template  # noqa: F401


def call(context):
    import mako.template

    template = mako.template.Template("<h1>${shop}</h1>")
    assert template.render_unicode(shop=context.shop) == "<h1>%s</h1>" % context.shop
    return template.render(shop=context.shop)


def find(title):
    raise LookupError("no such book: " + title)


def fail(context):
    import mako.template

    return mako.template.Template("<h1>${find(shop)}</h1>").render(shop=context.shop, find=find)
