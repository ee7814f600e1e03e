"""SQLAlchemy on SQLite: a query with a result, and a query of a missing table."""

from __future__ import absolute_import

DISTRIBUTION = "sqlalchemy"
INTEGRATION = "sqlalchemy"
SPAN = {"name": "*.query", "component": "sqlalchemy", "resource": "SELECT [?]"}
ERROR_SPAN = {"name": "*.query", "component": "sqlalchemy", "resource": "SELECT * FROM warehouse"}
STATEMENT = {"without": "Emma"}
SERVICE = ""
# It uses collections.MutableMapping.
PYTHON = [["<=1.0.0", "<3.10"]]


def patch():
    from ddtrace import patch

    patch(sqlalchemy=True)


def prepare(context):
    import sqlalchemy  # noqa: F401


def fetch_value(context, query, **values):
    import sqlalchemy

    connection = sqlalchemy.create_engine("sqlite:///" + context.file).connect()
    try:
        return connection.execute(sqlalchemy.text(query), values).fetchone()[0]
    finally:
        connection.close()


def call(context):
    return fetch_value(context, "SELECT :word", word="Emma")


def fail(context):
    return fetch_value(context, "SELECT copies FROM warehouse")
