"""aiopg: a query that finds, and one of a table that is not there."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "aiopg"
INTEGRATION = "aiopg"
SPAN = {"name": "postgres.query", "component": "aiopg", "resource": "SELECT %s", "type": "sql"}
ERROR_SPAN = {"name": "postgres.query", "component": "aiopg", "resource": "SELECT * FROM warehouse"}
SERVICE = "postgres"
# `async` is a name there, then a word; `asyncio.coroutine` went with 3.11.
PYTHON = [["<0.15", ">=3.5,<3.7"], ["<1", ">=3.5,<3.11"], ["", ">=3.5"]]
PACKAGES = ["gcc", "libpq-dev"]


def prepare(place):
    import aiopg  # noqa: F401


async def ask(place, *statement):
    import aiopg

    connection = await aiopg.connect(
        host=place.host,
        port=place.port,
        user=place.user,
        password=place.password,
        dbname=place.database,
        timeout=10,
    )
    try:
        cursor = await connection.cursor()
        await cursor.execute(*statement)
        return (await cursor.fetchone())[0]
    finally:
        connection.close()


def call(place):
    return loops.run(ask(place, "SELECT %s", ("Emma",)))


def fail(place):
    return loops.run(ask(place, "SELECT copies FROM warehouse"))
