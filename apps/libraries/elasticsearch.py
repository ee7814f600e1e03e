"""Elasticsearch: a book is found, and looked for in an index that is not there."""

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


def prepare(place):
    import elasticsearch

    client = elasticsearch.Elasticsearch(["http://%s:%d" % (place.host, place.port)])
    # A book's type has to be named before 7.0, and must not be after it.
    kind = {"doc_type": "book"} if elasticsearch.__version__ < (7,) else {}
    client.index(index="books", id="1", body={"title": "Emma"}, refresh=True, **kind)
    return client


def search(place, index):
    query = {"query": {"match": {"title": "Emma"}}}
    return place.ready.search(index=index, body=query)["hits"]["hits"][0]["_source"]["title"]


def call(place):
    return search(place, "books")


def fail(place):
    return search(place, "warehouse")
