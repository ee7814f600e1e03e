"""Connections led from one socket to another: from a port to a door, and back.

A door is a Unix socket, which also those see who are in another network namespace. Where there are
none, on Windows, there is one network, and a door is a file that names a port.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

__all__ = ["Dial", "Forwarder", "tcp_dial", "tcp_listener", "unix_dial", "unix_listener"]

Dial = Callable[[], socket.socket]
"""Returns a new connection to where one is led; raises OSError."""

CONNECTIONS = 128
DIAL_SECONDS = 10.0
_CHUNK = 65_536


def tcp_listener(port: int = 0) -> socket.socket:
    """Return a socket that listens on 127.0.0.1, on a free port for 0; raise OSError."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    return _listening(listener, ("127.0.0.1", port))


def unix_listener(path: Path) -> socket.socket:
    """Return a socket that listens behind the door `path`, which must be short; raise OSError."""
    if sys.platform == "win32":
        open_door = tcp_listener()
        path.write_text(str(open_door.getsockname()[1]), encoding="ascii")
        return open_door
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    return _listening(listener, str(path))


def tcp_dial(host: str, port: int) -> Dial:
    """Return what connects to a port."""
    return lambda: socket.create_connection((host, port), DIAL_SECONDS)


def unix_dial(path: str) -> Dial:
    """Return what connects to the other side of a door."""

    def dial() -> socket.socket:
        if sys.platform == "win32":
            port = Path(path).read_text(encoding="ascii")
            return socket.create_connection(("127.0.0.1", int(port)), DIAL_SECONDS)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(DIAL_SECONDS)
            sock.connect(path)
        except BaseException:
            sock.close()
            raise
        return sock

    return dial


class Forwarder:
    """Leads every connection to `listener`, which is its own now, to one of `dial`, until `close`.

    Two threads for each connection, which wait for the slower side; of more than `CONNECTIONS` at a
    time the later ones are refused. Where nothing can be dialled a connection ends at once.
    """

    def __init__(self, listener: socket.socket, dial: Dial) -> None:
        self._listener = listener
        self._dial = dial
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._closed = threading.Event()
        # Where `shutdown` does not wake who accepts, this does.
        listener.settimeout(1.0)
        self._accepting = threading.Thread(target=self._accept, name="forwarder", daemon=True)
        self._accepting.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._listener.getsockname()[1])

    def close(self) -> None:
        """End all connections, and take no more."""
        with self._lock:
            self._closed.set()
            sockets = tuple(self._open)
        for sock in (self._listener, *sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        for thread in tuple(self._threads):
            thread.join()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                near = self._listener.accept()[0]
            except TimeoutError:
                continue
            except OSError:  # closed; or out of descriptors, not for long, one hopes
                self._closed.wait(0.05)
                continue
            # After `shutdown` some systems hand out one that came before it.
            if self._closed.is_set() or len(self._open) >= 2 * CONNECTIONS:
                near.close()
                continue
            thread = threading.Thread(target=self._lead, args=(near,), daemon=True)
            self._threads.add(thread)
            thread.start()

    def _lead(self, near: socket.socket) -> None:
        try:
            with near, contextlib.suppress(OSError), self._dial() as far:
                self._between(near, far)
        finally:
            self._threads.discard(threading.current_thread())

    def _between(self, near: socket.socket, far: socket.socket) -> None:
        ends = {near, far}
        with self._lock:
            if self._closed.is_set():
                return
            self._open |= ends
        try:
            for sock in ends:
                sock.settimeout(None)
            back = threading.Thread(target=_copy, args=(far, near), daemon=True)
            back.start()
            _copy(near, far)
            back.join()
        finally:
            with self._lock:
                self._open -= ends


def _listening(listener: socket.socket, address: tuple[str, int] | str) -> socket.socket:
    try:
        if sys.platform == "win32":
            # There SO_REUSEADDR shares a port that is taken.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        elif listener.family == socket.AF_INET:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(CONNECTIONS)
    except BaseException:
        listener.close()
        raise
    return listener


def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Move all that comes, and then the end; a broken side ends both."""
    try:
        while data := source.recv(_CHUNK):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
