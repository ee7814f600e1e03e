"""Redis: `INFO server`, after `AUTH` where there is a password.

https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from __future__ import annotations

from matrix.services.protocol import Login, NoAnswerError, ServerConnection

__all__ = ["ask"]


def ask(line: ServerConnection, login: Login) -> str:
    """Return `Redis` and its version; a node of a cluster answers when the cluster stands."""
    if login.password:
        _do(line, "AUTH", *filter(None, (login.user, login.password)))
    about = dict(item.partition(":")[::2] for item in _do(line, "INFO").splitlines())
    if about.get("loading", "0") != "0":
        raise NoAnswerError("it is still loading")
    words = f"Redis {about.get('redis_version', '')}".rstrip()
    if about.get("cluster_enabled") == "1":
        if "cluster_state:ok" not in _do(line, "CLUSTER", "INFO"):
            raise NoAnswerError("the cluster does not stand yet")
        words += " cluster"
    return words


def _do(line: ServerConnection, *words: str) -> str:
    said = [word.encode() for word in words]
    line.say(b"*%d\r\n" % len(said) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in said))
    head = line.line()
    if head.startswith(b"$") and head[1:].isdigit():
        return line.take(int(head[1:]) + 2)[:-2].decode("utf-8", "replace")
    if head.startswith(b"+"):
        return head[1:].decode("utf-8", "replace")
    raise NoAnswerError(head.decode("utf-8", "replace").lstrip("-"))
