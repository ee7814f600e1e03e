"""SQLAlchemy on SQLite: a query that finds, and one of a table that is not there."""

from __future__ import absolute_import

DISTRIBUTION = "sqlalchemy"
INTEGRATION = "sqlalchemy"
SPAN = {"name": "*.query", "component": "sqlalchemy", "resource": "SELECT 'Emma'"}
ERROR_SPAN = {"name": "*.query", "component": "sqlalchemy", "resource": "SELECT * FROM warehouse"}
SERVICE = ""
# It asks for collections.MutableMapping.
PYTHON = [["<=1.0.0", "<3.10"]]


def patch():
    from ddtrace import patch

    patch(sqlalchemy=True)


def prepare(place):
    import sqlalchemy  # noqa: F401


def ask(place, query):
    import sqlalchemy

    connection = sqlalchemy.create_engine("sqlite:///" + place.file).connect()
    try:
        return connection.execute(sqlalchemy.text(query)).fetchone()[0]
    finally:
        connection.close()


def call(place):
    return ask(place, "SELECT 'Emma'")


def fail(place):
    return ask(place, "SELECT copies FROM warehouse")
