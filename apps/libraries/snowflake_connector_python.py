"""The connector of Snowflake: a query with a result, and a query of a missing table."""

from __future__ import absolute_import

import dbapi

DISTRIBUTION = "snowflake-connector-python"
INTEGRATION = "snowflake"
# Its spans have the default name of the tracer's DB-API integration.
SPAN = {"name": "sql.query", "component": "snowflake", "resource": "SELECT %s", "type": "sql"}
ERROR_SPAN = {
    "name": "sql.query",
    "component": "snowflake",
    "resource": "SELECT * FROM warehouse",
}
STATEMENT = {"without": "Emma"}
SERVICE = "snowflake"
# It imports pkg_resources.
ALSO = [["<3", "setuptools<81"]]
# The CPythons that have wheels, of it or of the cffi or pyarrow that a build of it needs.
# 2.7.3 to 2.7.5 do not declare that they need CPython 3.
PYTHON = [
    ["<2.2", "<3.9"],
    ["<2.4", ">=3.5,<3.9"],
    ["<2.7.2", ">=3.6,<3.10"],
    ["<3", ">=3.6,<3.11"],
    ["<3.5", "<3.12"],
]


def patch():
    from ddtrace import patch

    patch(snowflake=True)


def prepare(context):
    import snowflake.connector  # noqa: F401


def connect(context):
    import snowflake.connector

    return snowflake.connector.connect(
        user=context.user,
        password=context.password,
        account="bookshop",
        host=context.host,
        port=context.port,
        protocol="http",
        login_timeout=10,
        network_timeout=10,
    )


def call(context):
    return dbapi.query_word(connect(context), "SELECT %s")


def fail(context):
    return dbapi.query_missing_table(connect(context))
