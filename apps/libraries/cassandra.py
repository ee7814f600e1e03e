"""Cassandra: a query that finds, and one of a table that is not there."""

from __future__ import absolute_import

DISTRIBUTION = "cassandra-driver"
INTEGRATION = "cassandra"
SPAN = {
    "name": "cassandra.query",
    "component": "cassandra",
    "resource": "SELECT title FROM books WHERE slug = %s",
    "type": "cassandra",
}
ERROR_SPAN = {
    "name": "cassandra.query",
    "component": "cassandra",
    "resource": "SELECT copies FROM warehouse",
}
SERVICE = "cassandra"
# It imports Mapping from `collections`; and without libev, which a build here has not, it wants
# asyncore.
PYTHON = [["<=3.18", "<3.10"], ["<3.29", "<3.12"]]


def prepare(place):
    from cassandra.cluster import Cluster

    return Cluster([place.host], port=place.port).connect(place.database)


def call(place):
    found = place.ready.execute("SELECT title FROM books WHERE slug = %s", ("emma",))
    return list(found)[0].title


def fail(place):
    return place.ready.execute("SELECT copies FROM warehouse")
