"""PyMySQL: a query that finds, and one of a table that is not there."""

from __future__ import absolute_import

import dbapi

DISTRIBUTION = "pymysql"
INTEGRATION = "pymysql"
SPAN = {"name": "pymysql.query", "component": "pymysql", "resource": "SELECT %s", "type": "sql"}
ERROR_SPAN = {
    "name": "pymysql.query",
    "component": "pymysql",
    "resource": "SELECT * FROM warehouse",
}
SERVICE = "mysql"


def prepare(place):
    import pymysql  # noqa: F401


def connect(place):
    import pymysql

    return dbapi.connected(pymysql.connect, place)


def call(place):
    return dbapi.find(connect(place), "SELECT %s")


def fail(place):
    return dbapi.miss(connect(place))
