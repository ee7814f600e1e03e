"""MySQL's own connector: a query that finds, and one of a table that is not there.

Releases before 8.0.5, and many after it, were taken off the index.
"""

from __future__ import absolute_import

import dbapi

DISTRIBUTION = "mysql-connector-python"
INTEGRATION = "mysql"
SPAN = {"name": "mysql.query", "component": "mysql", "resource": "SELECT %s", "type": "sql"}
ERROR_SPAN = {"name": "mysql.query", "component": "mysql", "resource": "SELECT * FROM warehouse"}
SERVICE = "mysql"
# Its wheels say `py2.py3` up to 9: the last with one for 2.7 is 8.0.23, for 3.6 8.0.28.
PYTHON = [["<8.0.24", ">=2.7"], ["<8.0.29", ">=3.6"], ["<8.1", ">=3.7"]]


def prepare(place):
    import mysql.connector  # noqa: F401


def connect(place):
    import mysql.connector

    return mysql.connector.connect(
        host=place.host,
        port=place.port,
        user=place.user,
        password=place.password,
        database=place.database,
        connection_timeout=10,
    )


def call(place):
    return dbapi.find(connect(place), "SELECT %s")


def fail(place):
    return dbapi.miss(connect(place))
