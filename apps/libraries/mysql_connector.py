"""The connector of MySQL: a query with a result, and a query of a missing table.

Releases before 8.0.5, and many later ones, were removed from the index.
"""

from __future__ import absolute_import

import dbapi

DISTRIBUTION = "mysql-connector-python"
INTEGRATION = "mysql"
SPAN = {"name": "mysql.query", "component": "mysql", "resource": "SELECT %s", "type": "sql"}
ERROR_SPAN = {"name": "mysql.query", "component": "mysql", "resource": "SELECT * FROM warehouse"}
STATEMENT = {"without": "Emma"}
SERVICE = "mysql"
# Its wheels are tagged `py2.py3` up to 9, but 8.0.23 is the last for 2.7, and 8.0.28 for 3.6.
PYTHON = [["<8.0.24", ">=2.7"], ["<8.0.29", ">=3.6"], ["<8.1", ">=3.7"]]


def prepare(context):
    import mysql.connector  # noqa: F401


def connect(context):
    import mysql.connector

    return mysql.connector.connect(
        host=context.host,
        port=context.port,
        user=context.user,
        password=context.password,
        database=context.database,
        connection_timeout=10,
    )


def call(context):
    return dbapi.query_word(connect(context), "SELECT %s")


def fail(context):
    return dbapi.query_missing_table(connect(context))


def wait(context):
    return dbapi.wait(connect(context), "SELECT SLEEP(0.1)")
