"""Queries for the modules of SQL databases: one with a parameter, one that fails, one that waits.

The parameter is passed separately, as in PEP 249, so that traced statements do not contain it. The
second query is of a table that does not exist.
"""

import contextlib

WORD = "Emma"
MISSING = "SELECT copies FROM warehouse"


def connect(driver_connect, context):
    """Return a connection to the context's database, by the arguments that most drivers take."""
    return driver_connect(
        host=context.host,
        port=context.port,
        user=context.user,
        password=context.password,
        database=context.database,
        connect_timeout=10,
    )


def query_word(connection, statement):
    """Return the first value of a statement with one parameter; close the connection."""
    return query(connection, statement, (WORD,))


def query_missing_table(connection):
    """Query a table that does not exist, so that the driver raises; close the connection."""
    return query(connection, MISSING)


def wait(connection, statement):
    """Execute a statement that takes a while; close the connection."""
    with contextlib.closing(connection):
        cursor = connection.cursor()
        cursor.execute(statement)
        cursor.fetchone()


def query(connection, *statement):
    """Return the first value of the first row as text; always close the connection."""
    with contextlib.closing(connection):
        cursor = connection.cursor()
        cursor.execute(*statement)
        value = cursor.fetchone()[0]
    # Some releases of MySQL's drivers return bytes.
    return value if isinstance(value, str) else bytes(value).decode("ascii")
