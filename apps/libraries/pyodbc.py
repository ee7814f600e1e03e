"""pyodbc: a query of PostgreSQL with a result, and a query of a missing table.

The driver is that of Debian's `odbc-postgresql`, by its path, as cells have no system settings.
"""

from __future__ import absolute_import

import dbapi

DISTRIBUTION = "pyodbc"
INTEGRATION = "pyodbc"
# In brackets, as `?` alone matches any character.
SPAN = {"name": "pyodbc.query", "component": "pyodbc", "resource": "SELECT [?]", "type": "sql"}
ERROR_SPAN = {"name": "pyodbc.query", "component": "pyodbc", "resource": "SELECT * FROM warehouse"}
STATEMENT = {"without": "Emma"}
SERVICE = "postgres"
PACKAGES = ["g++", "unixodbc-dev", "odbc-postgresql"]
DRIVERS = "/usr/lib/*/odbc/psqlodbcw.so"


def prepare(context):
    import glob

    import pyodbc  # noqa: F401

    paths = glob.glob(DRIVERS)
    if not paths:
        raise IOError("no ODBC driver for PostgreSQL: install Debian's odbc-postgresql")
    return paths[0]


def connect(context):
    import pyodbc

    settings = [
        ("DRIVER", context.ready),
        ("SERVER", context.host),
        ("PORT", context.port),
        ("UID", context.user),
        ("PWD", context.password),
        ("DATABASE", context.database),
    ]
    return pyodbc.connect(";".join("%s=%s" % pair for pair in settings), timeout=10)


def call(context):
    return dbapi.query_word(connect(context), "SELECT ?")


def fail(context):
    return dbapi.query_missing_table(connect(context))


def wait(context):
    return dbapi.wait(connect(context), "SELECT pg_sleep(0.1)")
