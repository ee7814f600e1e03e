"""What the rows of SQL databases share: a question with a word in it, and one that fails.

The word goes beside the statement, as PEP 249 has it, so that what is traced can show the statement
without it. The second question is of a table that is not there.
"""

import contextlib

WORD = "Emma"
MISSING = "SELECT copies FROM warehouse"


def connected(connect, place):
    """Return a connection to the place's database, by the words that most drivers have."""
    return connect(
        host=place.host,
        port=place.port,
        user=place.user,
        password=place.password,
        database=place.database,
        connect_timeout=10,
    )


def find(connection, statement):
    """Return the first value that a statement of one parameter finds; close the connection."""
    return ask(connection, statement, (WORD,))


def miss(connection):
    """Ask for what is not there: the driver raises its error. Close the connection."""
    return ask(connection, MISSING)


def ask(connection, *statement):
    """Return the first value of the first row as text; close the connection in any case."""
    with contextlib.closing(connection):
        cursor = connection.cursor()
        cursor.execute(*statement)
        value = cursor.fetchone()[0]
    # Some releases of MySQL's drivers answer in bytes.
    return value if isinstance(value, str) else bytes(value).decode("ascii")
