"""Psycopg 2 and 3: a query with a result, and a query of a missing table; from 3, by asyncio too.

Up to 2.6.2, setup.py cannot parse PostgreSQL versions of two numbers (15.18), which are used since
10. Those releases need the libpq-dev of an older Debian.
"""

from __future__ import absolute_import

import dbapi
import loops

DISTRIBUTION = [["<3", "psycopg2"], [">=3", "psycopg"]]
SYNONYMS = [
    ["psycopg2", "psycopg2"],
    ["psycopg3", "psycopg"],
    ["psycopg2-binary", "psycopg2-binary"],
]
INTEGRATION = "psycopg"
SPAN = {"name": "postgres.query", "component": "psycopg", "resource": "SELECT %s", "type": "sql"}
ERROR_SPAN = {
    "name": "postgres.query",
    "component": "psycopg",
    "resource": "SELECT * FROM warehouse",
}
STATEMENT = {"without": "Emma"}
SERVICE = "postgres"
# On later CPythons the build or import fails, as was tried; 2.9.5 is the first for 3.11.
PYTHON = [["<2.7.5", "<3.7"], ["<2.8", "<3.8"], ["<2.9.5", "<3.11"]]
PACKAGES = ["gcc", "libpq-dev"]


def import_driver():
    try:
        import psycopg2 as driver
    except ImportError:
        import psycopg as driver
    return driver


def prepare(context):
    import_driver()


def arguments(context):
    return {
        "host": context.host,
        "port": context.port,
        "user": context.user,
        "password": context.password,
        "dbname": context.database,
        "connect_timeout": 10,
    }


def query_async(context, *statement):
    """Return the value of a statement, by the connection for asyncio."""
    import psycopg

    # Under some tracers the connection is made by the call, which then needs the thread's loop.
    loop = loops.new_loop()
    connecting = psycopg.AsyncConnection.connect(**arguments(context))
    connection = loop.run_until_complete(connecting)
    try:
        cursor = loop.run_until_complete(connection.execute(*statement))
        return loop.run_until_complete(cursor.fetchone())[0]
    finally:
        loop.run_until_complete(connection.close())
        loop.close()


def call(context):
    driver = import_driver()
    word = dbapi.query_word(driver.connect(**arguments(context)), "SELECT %s")
    if hasattr(driver, "AsyncConnection"):
        word += ", " + query_async(context, "SELECT %s", (dbapi.WORD,))
    return word


def fail(context):
    return dbapi.query_missing_table(import_driver().connect(**arguments(context)))


def wait(context):
    return dbapi.wait(import_driver().connect(**arguments(context)), "SELECT pg_sleep(0.1)")
