"""aiomysql: a query with a result, and a query of a missing table."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "aiomysql"
INTEGRATION = "aiomysql"
SPAN = {"name": "mysql.query", "component": "aiomysql", "resource": "SELECT %s", "type": "sql"}
ERROR_SPAN = {"name": "mysql.query", "component": "aiomysql", "resource": "SELECT * FROM warehouse"}
SERVICE = "mysql"
PYTHON = ">=3.6"


def prepare(context):
    import aiomysql  # noqa: F401


async def query(context, *statement):
    import aiomysql

    connection = await aiomysql.connect(
        host=context.host,
        port=context.port,
        user=context.user,
        password=context.password,
        db=context.database,
        connect_timeout=10,
    )
    try:
        cursor = await connection.cursor()
        await cursor.execute(*statement)
        return str((await cursor.fetchone())[0])
    finally:
        connection.close()


def call(context):
    return loops.run(query(context, "SELECT %s", ("Emma",)))


def fail(context):
    return loops.run(query(context, "SELECT copies FROM warehouse"))
