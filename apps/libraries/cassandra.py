"""Cassandra: a query with a result, and a query of a missing table."""

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
STATEMENT = {"without": "emma"}
SERVICE = "cassandra"
# It imports Mapping from `collections`, and asyncore if it is built without libev, as here.
PYTHON = [["<=3.18", "<3.10"], ["<3.29", "<3.12"]]


def prepare(context):
    from cassandra.cluster import Cluster

    return Cluster([context.host], port=context.port).connect(context.database)


def call(context):
    rows = context.ready.execute("SELECT title FROM books WHERE slug = %s", ("emma",))
    return list(rows)[0].title


def fail(context):
    return context.ready.execute("SELECT copies FROM warehouse")
