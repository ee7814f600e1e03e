"""Vertica: a query that finds, and one of a table that is not there."""

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
SERVICE = "vertica"
# It asks for collections.Callable.
PYTHON = [["<0.7", "<3.10"]]
# It imports `builtins`, and asks for nothing that has that on 2.7.
ALSO = [["<0.7", "future; python_version < '3'"]]


def prepare(place):
    import vertica_python  # noqa: F401


def connect(place):
    import vertica_python

    return vertica_python.connect(
        host=place.host,
        port=place.port,
        user=place.user,
        password=place.password,
        database=place.database,
    )


def call(place):
    # Up to 0.6 a parameter takes psycopg2, which would be traced as well.
    return dbapi.ask(connect(place), "SELECT title FROM books")


def fail(place):
    return dbapi.miss(connect(place))
