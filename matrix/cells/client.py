"""The customer of the bookshop: one HTTP request, within a time limit, whatever comes back.

The way to a port of an app: how a connection to it is opened, wherever the app runs.
"""

from __future__ import annotations

import dataclasses
import http.client
import socket
import time
from collections.abc import Callable, Mapping

__all__ = ["Endpoint", "HttpResponse", "loopback_door", "send"]


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """`port` is as the app knows it. `connect` opens a connection to it within so many seconds;
    it raises OSError.
    """

    port: int
    connect: Callable[[float], socket.socket]


def loopback_door(port: int) -> Endpoint:
    """Return the way to 127.0.0.1:`port` of this machine."""

    def connect(seconds: float) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", port), seconds)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    return Endpoint(port, connect)


BODY_BYTES = 65_536
READ_BYTES = 16_384


@dataclasses.dataclass(frozen=True)
class HttpResponse:
    """What the client got; `status` is None where nothing usable came, and `error` says why."""

    status: int | None
    headers: Mapping[str, str]
    body: str
    error: str | None = None


def send(  # noqa: PLR0913 - the parts of a request
    door: Endpoint,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str],
    body: str = "",
    timeout: float,
) -> HttpResponse:
    """Send the request through `door`; never raises. No proxy, no redirect, bounded body.

    An answer without a reason phrase is fine: some releases block with a bare `403`.
    """
    deadline = time.monotonic() + timeout
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=max(timeout, 0.01))
    try:
        connection.sock = door.connect(max(timeout, 0.01))
        connection.request(method, path, body.encode() or None, dict(headers))
        response = connection.getresponse()
        content = _content(connection, response, deadline)
        return HttpResponse(response.status, dict(response.getheaders()), content)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return HttpResponse(None, {}, "", f"{type(error).__name__}: {error}".rstrip(": "))
    finally:
        connection.close()


def _content(
    connection: http.client.HTTPConnection, response: http.client.HTTPResponse, deadline: float
) -> str:
    """Return the start of the body; what comes too late counts as not come."""
    content = bytearray()
    while len(content) < BODY_BYTES:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the body did not end in time")
        if connection.sock is not None:
            connection.sock.settimeout(left)
        try:
            piece = response.read1(READ_BYTES)
        except http.client.IncompleteRead as error:
            piece = error.partial
        if not piece:
            break
        content += piece
    return bytes(content[:BODY_BYTES]).decode("utf-8", "replace")
