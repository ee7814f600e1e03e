"""Jinja2: a template from a loader, compiled and rendered."""

from __future__ import absolute_import

DISTRIBUTION = "jinja2"
INTEGRATION = "jinja2"
SPAN = {"name": "jinja2.render", "component": "jinja2", "resource": "shelf.html"}
SERVICE = ""
# It imports names from `collections` that moved, and takes the failure for Python 2.
PYTHON = [["<=2.7", "<3.10"]]
# It sets no upper bound, and imports a name that MarkupSafe 2.1 dropped.
ALSO = [["<3", "markupsafe<2.1"]]


def prepare(place):
    import jinja2  # noqa: F401


def call(place):
    import jinja2

    loader = jinja2.DictLoader({"shelf.html": "<h1>{{ shop }}</h1>"})
    return jinja2.Environment(loader=loader).get_template("shelf.html").render(shop=place.shop)
