"""Forwarders of connections: what is open ends with them, at once and without using the CPU."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from matrix.services.forwarder import Forwarder, tcp_dial, tcp_listener

if sys.platform == "win32":
    pytest.skip("there are no Unix sockets", allow_module_level=True)

from matrix.services.forwarder import unix_listener

Listen = Callable[[Path], socket.socket]
LISTENERS = {
    "tcp": lambda _folder: tcp_listener(0),
    "unix": lambda folder: unix_listener(folder / "socket"),
}


@pytest.mark.parametrize("listen", LISTENERS.values(), ids=LISTENERS)
def test_an_idle_forwarder_is_closed_at_once(listen: Listen, tmp_path: Path) -> None:
    forwarder = Forwarder(listen(tmp_path), tcp_dial("127.0.0.1", 9))
    time.sleep(0.05)  # it waits for a connection
    start, cpu = time.monotonic(), time.process_time()
    forwarder.close()
    assert time.monotonic() - start < 0.5
    assert time.process_time() - cpu < 0.2


def test_open_connections_end_with_the_forwarder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        forwarder = Forwarder(tcp_listener(0), tcp_dial("127.0.0.1", port))
        own_port = forwarder.port
        with socket.create_connection(("127.0.0.1", own_port)) as client:
            accepted = server.accept()[0]
            client.sendall(b"x")
            assert accepted.recv(1) == b"x"
            forwarder.close()
            assert accepted.recv(1) == b""
            accepted.close()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", own_port), 1)
