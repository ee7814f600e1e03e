"""Mako: a template rendered."""

from __future__ import absolute_import

DISTRIBUTION = "mako"
INTEGRATION = "mako"
SPAN = {"name": "*template.render*", "component": "mako"}
SERVICE = ""
# Before 0.8 it is no Python 3, or becomes it by a tool that is no more; 0.8 imports `imp`.
PYTHON = [["<0.8", "<3"], ["<0.9", "<3.12"]]


def prepare(place):
    import mako.template  # noqa: F401


def call(place):
    import mako.template

    return mako.template.Template("<h1>${shop}</h1>").render(shop=place.shop)
