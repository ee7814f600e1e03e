"""Elasticsearch: a search with a result, and a search in a missing index.

A numbered distribution has the releases of one major, under an import name of its own.
"""

from __future__ import absolute_import

DISTRIBUTION = "elasticsearch"
SYNONYMS = [
    ["elasticsearch1", "elasticsearch1"],
    ["elasticsearch2", "elasticsearch2"],
    ["elasticsearch5", "elasticsearch5"],
    ["elasticsearch6", "elasticsearch6"],
    ["elasticsearch7", "elasticsearch7"],
    ["elasticsearch8", "elasticsearch8"],
]
INTEGRATION = "elasticsearch"
SPAN = {
    "name": "elasticsearch.query",
    "component": "elasticsearch",
    "resource": "* /books/_search",
    "type": "elasticsearch",
    "tags": {"elasticsearch.url": "/books/_search", "elasticsearch.body": "*Emma*"},
}
ERROR_SPAN = {
    "name": "elasticsearch.query",
    "component": "elasticsearch",
    "resource": "* /warehouse/_search",
}
STATEMENT = {}
SERVICE = "elasticsearch"
# They use names of `collections` and `base64` that those CPythons no longer have.
PYTHON = [
    [">=5.5,<5.5.3", "<3.10"],
    [">=6,<6.3", "<3.10"],
    ["==7.1.0", "<3.9"],
    ["==7.10.0", "<3.10"],
]


def import_client():
    """Return the package that is installed, of whichever distribution."""
    import importlib
    import pkgutil
    import re

    names = (module[1] for module in pkgutil.iter_modules())
    return importlib.import_module(next(n for n in names if re.match("elasticsearch[0-9]?$", n)))


def prepare(context):
    elasticsearch = import_client()
    client = elasticsearch.Elasticsearch(["http://%s:%d" % (context.host, context.port)])
    # The type of a document is required before 7.0, and rejected from then on.
    kind = {"doc_type": "book"} if elasticsearch.__version__ < (7,) else {}
    client.index(index="books", id="1", body={"title": "Emma"}, refresh=True, **kind)
    return client


def search(context, index):
    query = {"query": {"match": {"title": "Emma"}}}
    return context.ready.search(index=index, body=query)["hits"]["hits"][0]["_source"]["title"]


def call(context):
    return search(context, "books")


def fail(context):
    return search(context, "warehouse")
