"""Elasticsearch: a search with a result, and a search in a missing index."""

from __future__ import absolute_import

DISTRIBUTION = "elasticsearch"
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
SERVICE = "elasticsearch"


def prepare(context):
    import elasticsearch

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
