"""asyncpg: a query that finds, and one of a table that is not there."""

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
SERVICE = "postgres"
# C code that names what 3.9 and 3.11 dropped; the first with wheels for those are 0.22 and 0.27.
PYTHON = [["<0.22", ">=3.5,<3.9"], ["<0.27", ">=3.5,<3.11"], ["", ">=3.5"]]


def prepare(place):
    import asyncpg  # noqa: F401


async def ask(place, method, *statement):
    import asyncpg

    connection = await asyncpg.connect(
        host=place.host,
        port=place.port,
        user=place.user,
        password=place.password,
        database=place.database,
        timeout=10,
    )
    try:
        return await getattr(connection, method)(*statement)
    finally:
        await connection.close()


def call(place):
    return loops.run(ask(place, "fetchval", "SELECT $1::text", "Emma"))


def fail(place):
    # `fetch` would fail while it prepares the statement, before anything is executed.
    return loops.run(ask(place, "execute", "SELECT copies FROM warehouse"))
