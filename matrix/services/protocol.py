"""How a server is asked whether it answers, and who it is: a module per protocol, with `ask`.

A port that is open is no answer: some listen before they can serve.

A connection to a server that is asked: everything on it is bounded in time and size.
"""

from __future__ import annotations

import dataclasses
import importlib
import socket
import time
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, cast

from matrix.services.forwarding import Dial

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Login", "NoAnswerError", "ReadinessProtocol", "ServerConnection", "speaker"]

_MOST_BYTES = 1 << 20


class NoAnswerError(Exception):
    """Something answered, but not as a server that can be used; the message has its words."""


@dataclasses.dataclass(frozen=True)
class Login:
    """Who we are to the server."""

    user: str = ""
    password: str = dataclasses.field(default="", repr=False)
    database: str = ""


class ServerConnection:
    """A context manager: connects, and closes at the end. All methods raise OSError."""

    def __init__(self, dial: Dial, seconds: float) -> None:
        """Talk for at most so many seconds."""
        self._dial = dial
        self._until = time.monotonic() + seconds
        self._socket: socket.socket | None = None
        self._taken = 0

    def say(self, data: bytes) -> None:
        """Send all of `data`."""
        self._now().sendall(data)

    def take(self, count: int) -> bytes:
        """Return exactly so many bytes."""
        data = bytearray()
        while len(data) < count:
            data += self._some(count - len(data))
        return bytes(data)

    def line(self) -> bytes:
        """Return the next line, without its end."""
        data = bytearray()
        while not data.endswith(b"\n"):
            data += self._some(1)
        return bytes(data).rstrip(b"\r\n")

    def _some(self, most: int) -> bytes:
        if self._taken > _MOST_BYTES or most > _MOST_BYTES:
            raise NoAnswerError("it talks without end")
        data = self._now().recv(most)
        if not data:
            raise ConnectionError("it closed the connection")
        self._taken += len(data)
        return data

    def _now(self) -> socket.socket:
        assert self._socket is not None  # noqa: S101 - the context is open
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer in time")
        self._socket.settimeout(left)
        return self._socket

    def __enter__(self) -> Self:
        self._socket = self._dial()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._socket is not None  # noqa: S101 - the context is open
        self._socket.close()


class ReadinessProtocol(Protocol):
    """A module of this package."""

    def ask(self, line: ServerConnection, login: Login) -> str:
        """Return what the server says of itself, once it serves; raise OSError, NoAnswerError."""
        ...


def speaker(name: str) -> ReadinessProtocol:
    """Return the protocol called `name`; raise ImportError."""
    return cast("ReadinessProtocol", importlib.import_module(f"matrix.services.protocols.{name}"))
