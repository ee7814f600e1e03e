"""MariaDB's connector: a query that finds, and one of a table that is not there."""

from __future__ import absolute_import

import dbapi

DISTRIBUTION = "mariadb"
INTEGRATION = "mariadb"
# In brackets, as `?` stands for any character.
SPAN = {"name": "mariadb.query", "component": "mariadb", "resource": "SELECT [?]", "type": "sql"}
ERROR_SPAN = {
    "name": "mariadb.query",
    "component": "mariadb",
    "resource": "SELECT * FROM warehouse",
}
SERVICE = "mysql"
# Its C code assigns to what is no place any more on 3.11.
PYTHON = [["<1.1", ">=3.6,<3.11"]]
PACKAGES = ["gcc", "libmariadb-dev"]


def prepare(place):
    import mariadb  # noqa: F401


def connect(place):
    import mariadb

    return dbapi.connected(mariadb.connect, place)


def call(place):
    return dbapi.find(connect(place), "SELECT ?")


def fail(place):
    return dbapi.miss(connect(place))
