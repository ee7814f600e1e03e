"""Jinja2: a template is loaded, compiled and rendered, also in parts.

Another one includes a template with a mistake.
"""

from __future__ import absolute_import

DISTRIBUTION = "jinja2"
INTEGRATION = "jinja2"
SPAN = {"name": "jinja2.render", "component": "jinja2", "resource": "shelf.html"}
SERVICE = ""
# It imports names that left `collections`, and takes the error for Python 2.
PYTHON = [["<=2.7", "<3.10"]]
# It has no upper bound for MarkupSafe, and imports a name that 2.1 removed.
ALSO = [["<3", "markupsafe<2.1"]]
TEMPLATES = {
    "shelf.html": "<h1>{{ shop }}</h1>",
    "window.html": "{% include 'broken.html' %}",
    "broken.html": "{{ shop }}\n{% shelve %}",
}


def prepare(context):
    import jinja2  # noqa: F401


def load(name):
    import jinja2

    return jinja2.Environment(loader=jinja2.DictLoader(TEMPLATES)).get_template(name)


def call(context):
    template = load("shelf.html")
    assert "".join(template.generate(shop=context.shop)) == "<h1>%s</h1>" % context.shop
    return template.render(shop=context.shop)


def fail(context):
    load("window.html").render(shop=context.shop)
