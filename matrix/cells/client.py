"""HTTP requests to an app, each within a time limit, and the endpoints that they go to."""

from __future__ import annotations

import dataclasses
import http.client
import socket
import time
from collections.abc import Callable, Mapping

BODY_BYTES = 65_536
READ_BYTES = 16_384


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """A port of an app. `port` is its number inside; `connect` opens a connection to it within so
    many seconds, or raises OSError.
    """

    port: int
    connect: Callable[[float], socket.socket]


def loopback_endpoint(port: int) -> Endpoint:
    """Return the endpoint 127.0.0.1:`port` of this machine."""

    def connect(seconds: float) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", port), seconds)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    return Endpoint(port, connect)


@dataclasses.dataclass(frozen=True)
class HttpResponse:
    """The response of an app. If none can be used, `status` is None and `error` says why."""

    status: int | None
    headers: Mapping[str, str]
    body: str
    error: str | None = None


def send_request(  # noqa: PLR0913 - the parts of a request
    endpoint: Endpoint,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str],
    body: str = "",
    timeout: float,
) -> HttpResponse:
    """Send the request and return the response; never raises. No proxy, no redirect, bounded body.

    A response without a reason phrase is accepted: some releases block with a bare `403`.
    """
    deadline = time.monotonic() + timeout
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=max(timeout, 0.01))
    try:
        connection.sock = endpoint.connect(max(timeout, 0.01))
        connection.request(method, path, body.encode() or None, dict(headers))
        response = connection.getresponse()
        content = _read_body(connection, response, deadline)
        return HttpResponse(response.status, dict(response.getheaders()), content)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return HttpResponse(None, {}, "", f"{type(error).__name__}: {error}".rstrip(": "))
    finally:
        connection.close()


def _read_body(
    connection: http.client.HTTPConnection, response: http.client.HTTPResponse, deadline: float
) -> str:
    """Return the start of the body; raise TimeoutError if it does not end in time."""
    content = bytearray()
    while len(content) < BODY_BYTES:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("the body did not end in time")
        if connection.sock is not None:
            connection.sock.settimeout(remaining)
        try:
            piece = response.read1(READ_BYTES)
        except http.client.IncompleteRead as error:
            piece = error.partial
        if not piece:
            break
        content += piece
    return bytes(content[:BODY_BYTES]).decode("utf-8", "replace")
