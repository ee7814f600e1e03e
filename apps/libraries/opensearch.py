"""OpenSearch: a search with a result, and a search in a missing index."""

from __future__ import absolute_import

DISTRIBUTION = "opensearch-py"
# The tracer uses the integration of Elasticsearch, of which this is a fork.
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
SERVICE = "opensearch"
# They claim to support 2.7, but need a certifi that does not.
PYTHON = [[">=2.2,<2.6", ">=3.6"]]
# It imports `requests`, which it requires from 2.0 on only.
ALSO = [["<2", "requests<2.32"], ["<2", "urllib3<2"]]


def prepare(context):
    import opensearchpy

    client = opensearchpy.OpenSearch(["http://%s:%d" % (context.host, context.port)])
    client.index(index="books", id="1", body={"title": "Emma"}, refresh=True)
    return client


def search(context, index):
    query = {"query": {"match": {"title": "Emma"}}}
    return context.ready.search(index=index, body=query)["hits"]["hits"][0]["_source"]["title"]


def call(context):
    return search(context, "books")


def fail(context):
    return search(context, "warehouse")
