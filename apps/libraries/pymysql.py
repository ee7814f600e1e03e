"""PyMySQL: a query that finds, and one of a table that is not there."""

from __future__ import absolute_import

DISTRIBUTION = "pymysql"
INTEGRATION = "pymysql"
SPAN = {"name": "pymysql.query", "component": "pymysql", "resource": "SELECT 'Emma'", "type": "sql"}
ERROR_SPAN = {"name": "pymysql.query", "component": "pymysql", "resource": "SELECT * FROM warehouse"}
SERVICE = "mysql"


def prepare(place):
    import pymysql  # noqa: F401


def ask(place, query):
    import pymysql

    connection = pymysql.connect(
        host=place.host,
        port=place.port,
        user=place.user,
        password=place.password,
        database=place.database,
        connect_timeout=10,
    )
    try:
        cursor = connection.cursor()
        cursor.execute(query)
        return cursor.fetchone()[0]
    finally:
        connection.close()


def call(place):
    return ask(place, "SELECT 'Emma'")


def fail(place):
    return ask(place, "SELECT copies FROM warehouse")
