"""Psycopg 2: a query with a result, and a query of a missing table.

Up to 2.6.2, setup.py cannot parse PostgreSQL versions of two numbers (15.18), which are used since
10. Those releases need the libpq-dev of an older Debian.
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
# On later CPythons the build or import fails, as was tried; 2.9.5 is the first for 3.11.
PYTHON = [["<2.7.5", "<3.7"], ["<2.8", "<3.8"], ["<2.9.5", "<3.11"]]
PACKAGES = ["gcc", "libpq-dev"]


def prepare(context):
    import psycopg2  # noqa: F401


def connect(context):
    import psycopg2

    return psycopg2.connect(
        host=context.host,
        port=context.port,
        user=context.user,
        password=context.password,
        dbname=context.database,
        connect_timeout=10,
    )


def call(context):
    return dbapi.query_word(connect(context), "SELECT %s")


def fail(context):
    return dbapi.query_missing_table(connect(context))
