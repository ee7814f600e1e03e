"""Redis: `INFO server`, after `AUTH` where there is a password.

https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from __future__ import annotations

from matrix.services.protocol import Login, NoAnswerError, ServerConnection


def identify(connection: ServerConnection, login: Login) -> str:
    """Return `Redis` and its version; for a node of a cluster, once the cluster is complete."""
    if login.password:
        _execute(connection, "AUTH", *filter(None, (login.user, login.password)))
    lines = _execute(connection, "INFO").splitlines()
    info = dict(line.partition(":")[::2] for line in lines)
    if info.get("loading", "0") != "0":
        raise NoAnswerError("it is still loading")
    identity = f"Redis {info.get('redis_version', '')}".rstrip()
    if info.get("cluster_enabled") == "1":
        if "cluster_state:ok" not in _execute(connection, "CLUSTER", "INFO"):
            raise NoAnswerError("the cluster is not complete yet")
        identity += " cluster"
    return identity


def _execute(connection: ServerConnection, *command: str) -> str:
    parts = [part.encode() for part in command]
    arguments = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
    connection.send(b"*%d\r\n" % len(parts) + arguments)
    head = connection.read_line()
    if head.startswith(b"$") and head[1:].isdigit():
        return connection.read(int(head[1:]) + 2)[:-2].decode("utf-8", "replace")
    if head.startswith(b"+"):
        return head[1:].decode("utf-8", "replace")
    raise NoAnswerError(head.decode("utf-8", "replace").lstrip("-"))
