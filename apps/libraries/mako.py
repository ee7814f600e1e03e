"""Mako: a template is rendered."""

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

    return mako.template.Template("<h1>${shop}</h1>").render(shop=context.shop)
