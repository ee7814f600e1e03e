"""MySQL-python: a query that finds, and one of a table that is not there.

No release builds with MariaDB's client library from 10.2 on, which is Debian's: its MYSQL has no
member `reconnect`. It takes the one of MySQL 5, or of MariaDB 10.1.
"""

from __future__ import absolute_import

import dbapi

DISTRIBUTION = "MySQL-python"
INTEGRATION = "mysqldb"
SPAN = {"name": "mysql.query", "component": "mysqldb", "resource": "SELECT %s", "type": "sql"}
ERROR_SPAN = {"name": "mysql.query", "component": "mysqldb", "resource": "SELECT * FROM warehouse"}
SERVICE = "mysql"
# It was never made for 3.
PYTHON = "<3"
PACKAGES = ["gcc", "libmariadb-dev", "libmariadb-dev-compat"]


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
