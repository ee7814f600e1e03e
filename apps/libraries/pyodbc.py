"""pyodbc: a query of PostgreSQL that finds, and one of a table that is not there.

The driver is Debian's `odbc-postgresql`, named by its file: a cell has no settings of its system.
"""

from __future__ import absolute_import

import dbapi

DISTRIBUTION = "pyodbc"
INTEGRATION = "pyodbc"
# In brackets, as `?` stands for any character.
SPAN = {"name": "pyodbc.query", "component": "pyodbc", "resource": "SELECT [?]", "type": "sql"}
ERROR_SPAN = {"name": "pyodbc.query", "component": "pyodbc", "resource": "SELECT * FROM warehouse"}
SERVICE = "postgres"
PACKAGES = ["g++", "unixodbc-dev", "odbc-postgresql"]
DRIVERS = "/usr/lib/*/odbc/psqlodbcw.so"


def prepare(place):
    import glob

    import pyodbc  # noqa: F401

    found = glob.glob(DRIVERS)
    if not found:
        raise IOError("no ODBC driver for PostgreSQL: it comes with Debian's odbc-postgresql")
    return found[0]


def connect(place):
    import pyodbc

    words = [
        ("DRIVER", place.ready),
        ("SERVER", place.host),
        ("PORT", place.port),
        ("UID", place.user),
        ("PWD", place.password),
        ("DATABASE", place.database),
    ]
    return pyodbc.connect(";".join("%s=%s" % pair for pair in words), timeout=10)


def call(place):
    return dbapi.find(connect(place), "SELECT ?")


def fail(place):
    return dbapi.miss(connect(place))
