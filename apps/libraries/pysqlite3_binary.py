"""pysqlite3: a query with a result, and a query of a missing table."""

from __future__ import absolute_import

DISTRIBUTION = "pysqlite3-binary"
INTEGRATION = "sqlite3"
SPAN = {
    "name": "sqlite.query",
    "component": "sqlite",
    "resource": "SELECT ?",
    "type": "sql",
}
ERROR_SPAN = {"name": "sqlite.query", "component": "sqlite", "resource": "SELECT * FROM warehouse"}
SERVICE = ""


def prepare(context):
    import pysqlite3  # noqa: F401


def query(*statement):
    import pysqlite3

    connection = pysqlite3.connect(":memory:")
    try:
        return connection.cursor().execute(*statement).fetchone()[0]
    finally:
        connection.close()


def call(context):
    return query("SELECT ?", ("Emma",))


def fail(context):
    query("SELECT * FROM warehouse")
