"""The way to a port of an app: how a connection to it is opened, wherever the app runs."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Callable

__all__ = ["Door", "loopback_door"]


@dataclasses.dataclass(frozen=True)
class Door:
    """`port` is as the app knows it. `connect` opens a connection to it within so many seconds;
    it raises OSError.
    """

    port: int
    connect: Callable[[float], socket.socket]


def loopback_door(port: int) -> Door:
    """Return the way to 127.0.0.1:`port` of this machine."""

    def connect(seconds: float) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", port), seconds)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    return Door(port, connect)
