"""Elastic's transport: a search with a result, and a search in a missing index.

The client of Elasticsearch from 8.0 on makes its requests with it.
"""

from __future__ import absolute_import

DISTRIBUTION = "elastic-transport"
INTEGRATION = "elasticsearch"
SPAN = {
    "name": "elasticsearch.query",
    "component": "elasticsearch",
    "resource": "* /books/_search",
    "type": "elasticsearch",
    "tags": {"elasticsearch.url": "/books/_search", "elasticsearch.body": "*Emma*"},
}
SERVICE = "elasticsearch"
PYTHON = ">=3.6"
JSON = {"content-type": "application/json", "accept": "application/json"}


def prepare(context):
    import elastic_transport

    node = elastic_transport.NodeConfig("http", context.host, context.port)
    transport = elastic_transport.Transport([node])
    path = "/books/_doc/1?refresh=true"
    transport.perform_request("PUT", path, body={"title": "Emma"}, headers=JSON)
    return transport


def search(context, index):
    query = {"query": {"match": {"title": "Emma"}}}
    path = "/%s/_search" % index
    return context.ready.perform_request("POST", path, body=query, headers=JSON)


def call(context):
    return search(context, "books").body["hits"]["hits"][0]["_source"]["title"]


def fail(context):
    # It raises for no status, which its users look at.
    raise LookupError("status %d" % search(context, "warehouse").meta.status)
