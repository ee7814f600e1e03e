"""PyMongo: a search with a result, and a search that the server rejects."""

from __future__ import absolute_import

DISTRIBUTION = "pymongo"
INTEGRATION = "pymongo"
# The operation is `query` in the old protocol, and `find` in the new one.
SPAN = {
    "name": "pymongo.cmd",
    "component": "pymongo",
    "resource": '* books {"slug": "[?]"}',
    "type": "mongodb",
}
ERROR_SPAN = {"name": "pymongo.cmd", "component": "pymongo", "resource": "* books*"}
STATEMENT = {"without": "emma"}
SERVICE = "mongodb"


def prepare(context):
    import pymongo

    books = pymongo.MongoClient(context.url)[context.database].books
    books.replace_one({"slug": "emma"}, {"slug": "emma", "title": "Emma"}, upsert=True)
    return books


def call(context):
    return context.ready.find_one({"slug": "emma"})["title"]


def fail(context):
    return context.ready.find_one({"$nearby": "emma"})
