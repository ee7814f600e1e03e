"""asyncpg: a query with a result, and a query of a missing table."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "asyncpg"
INTEGRATION = "asyncpg"
SPAN = {
    "name": "postgres.query",
    "component": "asyncpg",
    "resource": "SELECT $1::text",
    "type": "sql",
}
ERROR_SPAN = {
    "name": "postgres.query",
    "component": "asyncpg",
    "resource": "SELECT * FROM warehouse",
}
STATEMENT = {"without": "Emma"}
SERVICE = "postgres"
# Its C code uses names that 3.9 and 3.11 removed; 0.22 and 0.27 are the first with wheels for them.
PYTHON = [["<0.22", ">=3.5,<3.9"], ["<0.27", ">=3.5,<3.11"], ["", ">=3.5"]]


def prepare(context):
    import asyncpg  # noqa: F401


async def query(context, method, *statement):
    import asyncpg

    connection = await asyncpg.connect(
        host=context.host,
        port=context.port,
        user=context.user,
        password=context.password,
        database=context.database,
        timeout=10,
    )
    try:
        return await getattr(connection, method)(*statement)
    finally:
        await connection.close()


def call(context):
    return loops.run(query(context, "fetchval", "SELECT $1::text", "Emma"))


def fail(context):
    # `fetch` would already fail when it prepares the statement.
    return loops.run(query(context, "execute", "SELECT copies FROM warehouse"))


def wait(context):
    return loops.run(query(context, "fetchval", "SELECT pg_sleep(0.1)"))
