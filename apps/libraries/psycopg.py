"""Psycopg 2: a query that finds, and one of a table that is not there."""

from __future__ import absolute_import

DISTRIBUTION = "psycopg2"
INTEGRATION = "psycopg"
SPAN = {"name": "postgres.query", "component": "psycopg", "resource": "SELECT 'Emma'", "type": "sql"}
ERROR_SPAN = {"name": "postgres.query", "component": "psycopg", "resource": "SELECT * FROM warehouse"}
SERVICE = "postgres"
PACKAGES = ["gcc", "libpq-dev"]


def prepare(place):
    import psycopg2  # noqa: F401


def ask(place, query):
    import psycopg2

    connection = psycopg2.connect(
        host=place.host,
        port=place.port,
        user=place.user,
        password=place.password,
        dbname=place.database,
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
