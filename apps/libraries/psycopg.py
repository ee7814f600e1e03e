"""Psycopg 2: a query that finds, and one of a table that is not there.

Up to 2.6.2 its setup.py reads no PostgreSQL version of two numbers (15.18), as there are since 10:
to build those, the libpq-dev of a Debian of that time is needed.
"""

from __future__ import absolute_import

import dbapi

DISTRIBUTION = "psycopg2"
INTEGRATION = "psycopg"
SPAN = {"name": "postgres.query", "component": "psycopg", "resource": "SELECT %s", "type": "sql"}
ERROR_SPAN = {
    "name": "postgres.query",
    "component": "psycopg",
    "resource": "SELECT * FROM warehouse",
}
SERVICE = "postgres"
# Seen to fail beyond: at the build or at the import; 2.9.5 is the first for 3.11.
PYTHON = [["<2.7.5", "<3.7"], ["<2.8", "<3.8"], ["<2.9.5", "<3.11"]]
PACKAGES = ["gcc", "libpq-dev"]


def prepare(place):
    import psycopg2  # noqa: F401


def connect(place):
    import psycopg2

    return psycopg2.connect(
        host=place.host,
        port=place.port,
        user=place.user,
        password=place.password,
        dbname=place.database,
        connect_timeout=10,
    )


def call(place):
    return dbapi.find(connect(place), "SELECT %s")


def fail(place):
    return dbapi.miss(connect(place))
