"""mysqlclient: a query that finds, and one of a table that is not there.

Up to 1.3.10 it does not build with MariaDB's client library from 10.2 on, as MySQL-python.
"""

from __future__ import absolute_import

import dbapi

DISTRIBUTION = "mysqlclient"
INTEGRATION = "mysqldb"
SPAN = {"name": "mysql.query", "component": "mysqldb", "resource": "SELECT %s", "type": "sql"}
ERROR_SPAN = {"name": "mysql.query", "component": "mysqldb", "resource": "SELECT * FROM warehouse"}
SERVICE = "mysql"
PACKAGES = ["gcc", "libmariadb-dev", "libmariadb-dev-compat", "pkg-config"]


def prepare(place):
    import MySQLdb  # noqa: F401


def connect(place):
    import MySQLdb

    return MySQLdb.connect(
        host=place.host,
        port=place.port,
        user=place.user,
        passwd=place.password,
        db=place.database,
        connect_timeout=10,
    )


def call(place):
    return dbapi.find(connect(place), "SELECT %s")


def fail(place):
    return dbapi.miss(connect(place))
