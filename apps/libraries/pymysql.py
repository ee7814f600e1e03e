"""PyMySQL: a query with a result, and a query of a missing table."""

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
STATEMENT = {"without": "Emma"}
SERVICE = "mysql"


def prepare(context):
    import pymysql  # noqa: F401


def connect(context):
    import pymysql

    return dbapi.connect(pymysql.connect, context)


def call(context):
    return dbapi.query_word(connect(context), "SELECT %s")


def fail(context):
    return dbapi.query_missing_table(connect(context))


def wait(context):
    return dbapi.wait(connect(context), "SELECT SLEEP(0.1)")
