"""Vertica: a query with a result, and a query of a missing table."""

from __future__ import absolute_import

import dbapi

DISTRIBUTION = "vertica-python"
INTEGRATION = "vertica"
SPAN = {
    "name": "vertica.query",
    "component": "vertica",
    "resource": "SELECT title FROM books",
    "type": "sql",
}
ERROR_SPAN = {
    "name": "vertica.query",
    "component": "vertica",
    "resource": "SELECT * FROM warehouse",
}
STATEMENT = {}
SERVICE = "vertica"
# It uses collections.Callable.
PYTHON = [["<0.7", "<3.10"]]
# It imports `builtins`, but does not require a package with it on 2.7.
ALSO = [["<0.7", "future; python_version < '3'"]]


def prepare(context):
    import vertica_python  # noqa: F401


def connect(context):
    import vertica_python

    return vertica_python.connect(
        host=context.host,
        port=context.port,
        user=context.user,
        password=context.password,
        database=context.database,
    )


def call(context):
    # Up to 0.6, a parameter would need psycopg2, which is traced too.
    return dbapi.query(connect(context), "SELECT title FROM books")


def fail(context):
    return dbapi.query_missing_table(connect(context))
