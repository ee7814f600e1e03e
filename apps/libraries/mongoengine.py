"""MongoEngine: a search with a result, and a search that the server rejects.

Its spans are those of PyMongo, with that component.
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
STATEMENT = {"without": "emma"}
SERVICE = "mongodb"
# On CPython 3 its setup.py asks for 2to3, which setuptools 58 dropped.
PYTHON = [["<0.20", "<3"]]
# It imports a function that PyMongo 4.9 moved.
ALSO = [["<0.29.1", "pymongo<4.9"]]


def prepare(context):
    import mongoengine

    mongoengine.connect(context.database, host=context.host, port=context.port)

    class Book(mongoengine.Document):
        slug = mongoengine.StringField()
        title = mongoengine.StringField()
        meta = {"collection": "books", "auto_create_index": False}

    Book.objects(slug="emma").update_one(set__title="Emma", upsert=True)
    return Book


def call(context):
    return context.ready.objects(slug="emma").first().title


def fail(context):
    return context.ready.objects(__raw__={"$nearby": "emma"}).first()
