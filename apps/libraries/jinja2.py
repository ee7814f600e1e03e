"""Jinja2: a template is loaded, compiled and rendered."""

from __future__ import absolute_import

DISTRIBUTION = "jinja2"
INTEGRATION = "jinja2"
SPAN = {"name": "jinja2.render", "component": "jinja2", "resource": "shelf.html"}
SERVICE = ""
# It imports names that left `collections`, and takes the error for Python 2.
PYTHON = [["<=2.7", "<3.10"]]
# It has no upper bound for MarkupSafe, and imports a name that 2.1 removed.
ALSO = [["<3", "markupsafe<2.1"]]


def prepare(context):
    import jinja2  # noqa: F401


def call(context):
    import jinja2

    loader = jinja2.DictLoader({"shelf.html": "<h1>{{ shop }}</h1>"})
    return jinja2.Environment(loader=loader).get_template("shelf.html").render(shop=context.shop)
