"""aiopg: a query with a result, and a query of a missing table."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "aiopg"
INTEGRATION = "aiopg"
SPAN = {"name": "postgres.query", "component": "aiopg", "resource": "SELECT %s", "type": "sql"}
ERROR_SPAN = {"name": "postgres.query", "component": "aiopg", "resource": "SELECT * FROM warehouse"}
SERVICE = "postgres"
# It uses the name `async`, a keyword from 3.7; 3.11 has no `asyncio.coroutine`.
PYTHON = [["<0.15", ">=3.5,<3.7"], ["<1", ">=3.5,<3.11"], ["", ">=3.5"]]
PACKAGES = ["gcc", "libpq-dev"]


def prepare(context):
    import aiopg  # noqa: F401


async def query(context, *statement):
    import aiopg

    connection = await aiopg.connect(
        host=context.host,
        port=context.port,
        user=context.user,
        password=context.password,
        dbname=context.database,
        timeout=10,
    )
    try:
        cursor = await connection.cursor()
        await cursor.execute(*statement)
        return (await cursor.fetchone())[0]
    finally:
        connection.close()


def call(context):
    return loops.run(query(context, "SELECT %s", ("Emma",)))


def fail(context):
    return loops.run(query(context, "SELECT copies FROM warehouse"))
