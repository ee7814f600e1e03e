"""Snowflake's connector: a query that finds, and one of a table that is not there."""

from __future__ import absolute_import

import dbapi

DISTRIBUTION = "snowflake-connector-python"
INTEGRATION = "snowflake"
# Its spans have the general name of the tracer's DB-API.
SPAN = {"name": "sql.query", "component": "snowflake", "resource": "SELECT %s", "type": "sql"}
ERROR_SPAN = {
    "name": "sql.query",
    "component": "snowflake",
    "resource": "SELECT * FROM warehouse",
}
SERVICE = "snowflake"


def patch():
    from ddtrace import patch

    patch(snowflake=True)


def prepare(place):
    import snowflake.connector  # noqa: F401


def connect(place):
    import snowflake.connector

    return snowflake.connector.connect(
        user=place.user,
        password=place.password,
        account="bookshop",
        host=place.host,
        port=place.port,
        protocol="http",
        login_timeout=10,
        network_timeout=10,
    )


def call(place):
    return dbapi.find(connect(place), "SELECT %s")


def fail(place):
    return dbapi.miss(connect(place))
