"""OpenSearch: a book is found, and looked for in an index that is not there."""

from __future__ import absolute_import

DISTRIBUTION = "opensearch-py"
# The tracer takes it for what it is a fork of.
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
SERVICE = "opensearch"
# They say that they are for 2.7, and need a certifi that is not.
PYTHON = [[">=2.2,<2.6", ">=3.6"]]


def prepare(place):
    import opensearchpy

    client = opensearchpy.OpenSearch(["http://%s:%d" % (place.host, place.port)])
    client.index(index="books", id="1", body={"title": "Emma"}, refresh=True)
    return client


def search(place, index):
    query = {"query": {"match": {"title": "Emma"}}}
    return place.ready.search(index=index, body=query)["hits"]["hits"][0]["_source"]["title"]


def call(place):
    return search(place, "books")


def fail(place):
    return search(place, "warehouse")
