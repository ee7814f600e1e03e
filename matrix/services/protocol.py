"""Readiness checks of servers: a bounded connection, and one module per protocol with `identify`.

An open port proves nothing: some servers listen before they can serve.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import socket
import time
from typing import Protocol, cast

from matrix.services.forwarder import Dial

_MAX_BYTES = 1 << 20


class NoAnswerError(Exception):
    """The answer is not that of a usable server; the message quotes the server's own text."""


@dataclasses.dataclass(frozen=True)
class Login:
    """Credentials for the server."""

    user: str = ""
    password: str = dataclasses.field(default="", repr=False)
    database: str = ""


class ServerConnection(contextlib.AbstractContextManager["ServerConnection"]):
    """A context manager for a connection bounded in time and size. All methods raise OSError."""

    def __init__(self, dial: Dial, seconds: float) -> None:
        """Connect, and limit the connection to so many seconds from now."""
        self._deadline = time.monotonic() + seconds
        self._socket = dial()
        self._received = 0

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self._ready_socket().sendall(data)

    def read(self, count: int) -> bytes:
        """Return exactly so many bytes."""
        data = bytearray()
        while len(data) < count:
            data += self._receive(count - len(data))
        return bytes(data)

    def read_line(self) -> bytes:
        """Return the next line, without its end."""
        data = bytearray()
        while not data.endswith(b"\n"):
            data += self._receive(1)
        return bytes(data).rstrip(b"\r\n")

    def _receive(self, limit: int) -> bytes:
        if self._received > _MAX_BYTES or limit > _MAX_BYTES:
            raise NoAnswerError(f"it sends more than {_MAX_BYTES} bytes")
        data = self._ready_socket().recv(limit)
        if not data:
            raise ConnectionError("it closed the connection")
        self._received += len(data)
        return data

    def _ready_socket(self) -> socket.socket:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("no answer in time")
        self._socket.settimeout(remaining)
        return self._socket

    def __exit__(self, *_: object) -> None:
        self._socket.close()


class ReadinessProtocol(Protocol):
    """The interface of a module in `matrix.services.protocols`."""

    def identify(self, connection: ServerConnection, login: Login) -> str:
        """Return the server's product and version, once it serves.

        Raises OSError, NoAnswerError.
        """


def load_protocol(name: str) -> ReadinessProtocol:
    """Return the protocol called `name`; raise ImportError."""
    return cast("ReadinessProtocol", importlib.import_module(f"matrix.services.protocols.{name}"))
