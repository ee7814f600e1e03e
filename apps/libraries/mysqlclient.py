"""mysqlclient: a query with a result, and a query of a missing table.

Like MySQL-python, releases up to 1.3.10 do not build with MariaDB 10.2 or newer.
"""

from __future__ import absolute_import

import dbapi

DISTRIBUTION = "mysqlclient"
INTEGRATION = "mysqldb"
SPAN = {"name": "mysql.query", "component": "mysqldb", "resource": "SELECT %s", "type": "sql"}
ERROR_SPAN = {"name": "mysql.query", "component": "mysqldb", "resource": "SELECT * FROM warehouse"}
STATEMENT = {"without": "Emma"}
SERVICE = "mysql"
PACKAGES = ["gcc", "libmariadb-dev", "libmariadb-dev-compat", "pkg-config"]


def prepare(context):
    import MySQLdb  # noqa: F401


def connect(context):
    import MySQLdb

    return MySQLdb.connect(
        host=context.host,
        port=context.port,
        user=context.user,
        passwd=context.password,
        db=context.database,
        connect_timeout=10,
    )


def call(context):
    return dbapi.query_word(connect(context), "SELECT %s")


def fail(context):
    return dbapi.query_missing_table(connect(context))


def wait(context):
    return dbapi.wait(connect(context), "SELECT SLEEP(0.1)")
