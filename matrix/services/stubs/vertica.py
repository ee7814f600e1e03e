"""A stub of Vertica, with one table, and an error for everything else: `vertica.py ADDRESS`.

The protocol is version 3 of PostgreSQL's, but for how a client identifies itself and how columns
are described from 3.4 on. Vertica's own client shows the messages of each version:
https://github.com/vertica/vertica-python/tree/master/vertica_python/vertica/messages
"""

from __future__ import annotations

import re
import struct
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matrix.services.stubs.server_base import Peer, serve
else:  # a module beside this program
    from server_base import Peer, serve


_SSL_REQUEST = 80877103
_BALANCE_REQUEST = 80936960
_TYPE_POOL_MINOR = 4
_VERSION = b"v24.1.0-stub"
_CLEAR_TEXT, _OK = 3, 0
_VARCHAR, _VARCHAR_SIZE = 9, 80
_BOOKS = {"title": "Emma", "slug": "emma"}
_SELECT = re.compile(r"\s*select\s+(\w+)\s+from\s+(?:public\.)?(\w+)\s*;?\s*", re.IGNORECASE)


def handle(peer: Peer) -> None:
    """Log one client in and answer its queries, until it disconnects."""
    minor = _read_startup(peer)
    _send(peer, b"R", struct.pack("!I", _CLEAR_TEXT))
    if peer.read(1) != b"p":
        return
    peer.read(_read_size(peer))
    _send(peer, b"R", struct.pack("!I", _OK))
    _send(peer, b"S", b"server_version\0" + _VERSION + b"\0")
    # After the login, newer versions of the protocol do not differ in anything that is sent here.
    _send(peer, b"S", b"protocol_version\0%d\0" % (3 << 16 | 5))
    _send(peer, b"K", struct.pack("!II", 1, 1))
    _send(peer, b"Z", b"I")
    while (kind := peer.read(1)) != b"X":
        body = peer.read(_read_size(peer))
        if kind != b"Q":
            _send_error(peer, "0A000", "the stub of Vertica knows simple queries only")
        else:
            _execute(peer, body.rstrip(b"\0").decode(), minor)
        _send(peer, b"Z", b"I")


def _read_startup(peer: Peer) -> int:
    """Return the minor version of the protocol that a client requests."""
    while True:
        body = peer.read(_read_size(peer))
        if len(body) < 4:  # noqa: PLR2004 - the length of a number
            raise ValueError("invalid startup message")
        code = struct.unpack("!I", body[:4])[0]
        if code not in (_SSL_REQUEST, _BALANCE_REQUEST):
            return int(code & 0xFFFF)
        peer.send(b"N")


def _execute(peer: Peer, query: str, minor: int) -> None:
    select = _SELECT.fullmatch(query)
    if select is None:
        keyword = (query.split() or [""])[0].upper().rstrip(";")
        if keyword in ("COMMIT", "ROLLBACK", "SET"):
            _send(peer, b"C", keyword.encode() + b"\0")
        else:
            _send_error(peer, "42601", f"Syntax error at or near {keyword!r}")
        return
    column, table = (name.lower() for name in select.groups())
    if table != "books":
        _send_error(peer, "42V01", f'Relation "{table}" does not exist')
    elif column not in _BOOKS:
        _send_error(peer, "42703", f'Column "{column}" does not exist')
    else:
        _send(peer, b"T", _describe_column(column.encode(), minor))
        value = _BOOKS[column].encode()
        _send(peer, b"D", struct.pack("!Hi", 1, len(value)) + value)
        _send(peer, b"C", b"SELECT\0")


def _describe_column(column: bytes, minor: int) -> bytes:
    """Return the description of one text column in the client's version of the protocol.

    From 3.4 on there is a pool of types before the columns, and a table's number is longer.
    """
    if minor < _TYPE_POOL_MINOR:
        return struct.pack(
            f"!H{len(column)}sxIHIHiH", 1, column, 0, 1, _VARCHAR, 0xFFFF, _VARCHAR_SIZE + 4, 0
        )
    return struct.pack(
        f"!HI{len(column)}sxQHBIhHHiH",
        *(1, 0, column, 0, 1, 0, _VARCHAR, -1, 1, 0, _VARCHAR_SIZE + 4, 0),
    )


def _send_error(peer: Peer, state: str, message: str) -> None:
    fields = {"S": "ERROR", "C": state, "M": message}
    _send(peer, b"E", b"".join(f"{key}{value}\0".encode() for key, value in fields.items()) + b"\0")


def _read_size(peer: Peer) -> int:
    size: int = struct.unpack("!I", peer.read(4))[0]
    if size < 4:  # noqa: PLR2004 - it counts itself
        raise ValueError(f"invalid size {size}")
    return size - 4


def _send(peer: Peer, kind: bytes, body: bytes) -> None:
    peer.send(kind + struct.pack("!I", len(body) + 4) + body)


if __name__ == "__main__":
    serve(sys.argv[1], handle)
