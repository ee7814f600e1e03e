"""A stub of Vertica: one table that is there, an error for all else: `vertica.py WHERE`.

It is PostgreSQL's of version 3, but for how a client describes itself and how columns are
described from 3.4 on. What each release says and wants can be read in Vertica's own client:
https://github.com/vertica/vertica-python/tree/master/vertica_python/vertica/messages
"""

from __future__ import annotations

import re
import struct
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matrix.services.stubs.serving import Peer, serve
else:  # beside this program
    from serving import Peer, serve

__all__: list[str] = []

_SSL_REQUEST = 80877103
_BALANCE_REQUEST = 80936960
_POOLED_TYPES = 4
_VERSION = b"v24.1.0-stub"
_CLEAR_TEXT, _OK = 3, 0
_VARCHAR, _VARCHAR_SIZE = 9, 80
_BOOKS = {"title": "Emma", "slug": "emma"}
_SELECT = re.compile(r"\s*select\s+(\w+)\s+from\s+(?:public\.)?(\w+)\s*;?\s*", re.IGNORECASE)


def talk(peer: Peer) -> None:
    """Log one client in and answer what it asks, until it goes."""
    version = _start(peer)
    _say(peer, b"R", struct.pack("!I", _CLEAR_TEXT))
    if peer.take(1) != b"p":
        return
    peer.take(_size(peer))
    _say(peer, b"R", struct.pack("!I", _OK))
    _say(peer, b"S", b"server_version\0" + _VERSION + b"\0")
    # Between what is asked for and what this stub knows nothing differs after the login.
    _say(peer, b"S", b"protocol_version\0%d\0" % (3 << 16 | 5))
    _say(peer, b"K", struct.pack("!II", 1, 1))
    _say(peer, b"Z", b"I")
    while (kind := peer.take(1)) != b"X":
        said = peer.take(_size(peer))
        if kind != b"Q":
            _refuse(peer, "0A000", "the stub of Vertica knows simple queries only")
        else:
            _answer(peer, said.rstrip(b"\0").decode(), version)
        _say(peer, b"Z", b"I")


def _start(peer: Peer) -> int:
    """Return the minor version of the protocol that a client begins with."""
    while True:
        said = peer.take(_size(peer))
        if len(said) < 4:  # noqa: PLR2004 - a number
            raise ValueError("this is no beginning")
        code = struct.unpack("!I", said[:4])[0]
        if code not in (_SSL_REQUEST, _BALANCE_REQUEST):
            return int(code & 0xFFFF)
        peer.say(b"N")


def _answer(peer: Peer, query: str, version: int) -> None:
    asked = _SELECT.fullmatch(query)
    if asked is None:
        word = (query.split() or [""])[0].upper().rstrip(";")
        if word in ("COMMIT", "ROLLBACK", "SET"):
            _say(peer, b"C", word.encode() + b"\0")
        else:
            _refuse(peer, "42601", f"Syntax error at or near {word!r}")
        return
    column, table = (word.lower() for word in asked.groups())
    if table != "books":
        _refuse(peer, "42V01", f'Relation "{table}" does not exist')
    elif column not in _BOOKS:
        _refuse(peer, "42703", f'Column "{column}" does not exist')
    else:
        _say(peer, b"T", _described(column.encode(), version))
        value = _BOOKS[column].encode()
        _say(peer, b"D", struct.pack("!Hi", 1, len(value)) + value)
        _say(peer, b"C", b"SELECT\0")


def _described(column: bytes, version: int) -> bytes:
    """Return the description of one column of text, as the client's version of the protocol has it.

    From 3.4 on there is a pool of types before the columns, and a table's number is longer.
    """
    if version < _POOLED_TYPES:
        return struct.pack(
            f"!H{len(column)}sxIHIHiH", 1, column, 0, 1, _VARCHAR, 0xFFFF, _VARCHAR_SIZE + 4, 0
        )
    return struct.pack(
        f"!HI{len(column)}sxQHBIhHHiH",
        *(1, 0, column, 0, 1, 0, _VARCHAR, -1, 1, 0, _VARCHAR_SIZE + 4, 0),
    )


def _refuse(peer: Peer, state: str, why: str) -> None:
    fields = {"S": "ERROR", "C": state, "M": why}
    _say(peer, b"E", b"".join(f"{key}{value}\0".encode() for key, value in fields.items()) + b"\0")


def _size(peer: Peer) -> int:
    size: int = struct.unpack("!I", peer.take(4))[0]
    if size < 4:  # noqa: PLR2004 - it counts itself
        raise ValueError("this is no size")
    return size - 4


def _say(peer: Peer, kind: bytes, body: bytes) -> None:
    peer.say(kind + struct.pack("!I", len(body) + 4) + body)


if __name__ == "__main__":
    serve(sys.argv[1], talk)
