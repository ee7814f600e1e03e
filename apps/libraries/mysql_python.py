"""MySQL-python: a query with a result, and a query of a missing table.

No release builds with Debian's client library, MariaDB 10.2 or newer, as its MYSQL lacks the member
`reconnect`. The client library of MySQL 5 or MariaDB 10.1 is needed.
"""

from __future__ import absolute_import

import dbapi

DISTRIBUTION = "MySQL-python"
INTEGRATION = "mysqldb"
SPAN = {"name": "mysql.query", "component": "mysqldb", "resource": "SELECT %s", "type": "sql"}
ERROR_SPAN = {"name": "mysql.query", "component": "mysqldb", "resource": "SELECT * FROM warehouse"}
SERVICE = "mysql"
# No release supports 3.
PYTHON = "<3"
PACKAGES = ["gcc", "libmariadb-dev", "libmariadb-dev-compat"]


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
