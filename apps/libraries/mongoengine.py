"""MongoEngine: a search that finds, and one that the server refuses.

Its spans are PyMongo's, and have its component.
"""

from __future__ import absolute_import

DISTRIBUTION = "mongoengine"
INTEGRATION = "mongoengine"
SPAN = {
    "name": "pymongo.cmd",
    "component": "pymongo",
    "resource": '* books {"slug": "[?]"}',
    "type": "mongodb",
}
ERROR_SPAN = {"name": "pymongo.cmd", "component": "pymongo", "resource": "* books*"}
SERVICE = "mongodb"


def prepare(place):
    import mongoengine

    mongoengine.connect(place.database, host=place.host, port=place.port)

    class Book(mongoengine.Document):
        slug = mongoengine.StringField()
        title = mongoengine.StringField()
        meta = {"collection": "books", "auto_create_index": False}

    Book.objects(slug="emma").update_one(set__title="Emma", upsert=True)
    return Book


def call(place):
    return place.ready.objects(slug="emma").first().title


def fail(place):
    return place.ready.objects(__raw__={"$nearby": "emma"}).first()
