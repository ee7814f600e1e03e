"""PyMongo: a search that finds, and one that the server refuses."""

from __future__ import absolute_import

DISTRIBUTION = "pymongo"
INTEGRATION = "pymongo"
# The operation is `query` in the protocol of old, `find` since.
SPAN = {
    "name": "pymongo.cmd",
    "component": "pymongo",
    "resource": '* books {"slug": "[?]"}',
    "type": "mongodb",
}
ERROR_SPAN = {"name": "pymongo.cmd", "component": "pymongo", "resource": "* books*"}
SERVICE = "mongodb"


def prepare(place):
    import pymongo

    books = pymongo.MongoClient(place.url)[place.database].books
    books.replace_one({"slug": "emma"}, {"slug": "emma", "title": "Emma"}, upsert=True)
    return books


def call(place):
    return place.ready.find_one({"slug": "emma"})["title"]


def fail(place):
    return place.ready.find_one({"$nearby": "emma"})
