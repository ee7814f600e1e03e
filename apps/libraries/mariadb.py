"""The connector of MariaDB: a query with a result, and a query of a missing table."""

from __future__ import absolute_import

import dbapi

DISTRIBUTION = "mariadb"
INTEGRATION = "mariadb"
# In brackets, as `?` alone matches any character.
SPAN = {"name": "mariadb.query", "component": "mariadb", "resource": "SELECT [?]", "type": "sql"}
ERROR_SPAN = {
    "name": "mariadb.query",
    "component": "mariadb",
    "resource": "SELECT * FROM warehouse",
}
STATEMENT = {"without": "Emma"}
SERVICE = "mysql"
# Its C code assigns to an expression that is not an lvalue on 3.11.
PYTHON = [["<1.1", ">=3.6,<3.11"]]
PACKAGES = ["gcc", "libmariadb-dev"]


def prepare(context):
    import mariadb  # noqa: F401


def connect(context):
    import mariadb

    return dbapi.connect(mariadb.connect, context)


def call(context):
    return dbapi.query_word(connect(context), "SELECT ?")


def fail(context):
    return dbapi.query_missing_table(connect(context))


def wait(context):
    return dbapi.wait(connect(context), "SELECT SLEEP(0.1)")
