"""Forwarding of connections between TCP ports and Unix sockets.

A Unix socket can also be reached from another network namespace. Windows has neither namespaces
nor these sockets: there the path is that of a file that contains a port number.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

Dial = Callable[[], socket.socket]
"""Returns a new connection to the destination; raises OSError."""

CONNECTIONS = 128
DIAL_SECONDS = 10.0
_CHUNK = 65_536


def tcp_listener(port: int = 0) -> socket.socket:
    """Return a socket that listens on 127.0.0.1, on a free port for 0; raise OSError."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    return _listen(listener, ("127.0.0.1", port))


def unix_listener(path: Path) -> socket.socket:
    """Return a socket that listens at `path`, which must be short; raise OSError."""
    if sys.platform == "win32":
        tcp = tcp_listener()
        path.write_text(str(tcp.getsockname()[1]), encoding="ascii")
        return tcp
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    return _listen(listener, str(path))


def tcp_dial(host: str, port: int) -> Dial:
    """Return a function that connects to a TCP port."""
    return lambda: socket.create_connection((host, port), DIAL_SECONDS)


def unix_dial(path: str) -> Dial:
    """Return a function that connects to the listener of `unix_listener`."""

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
    """Forwards every connection to `listener`, which it then owns, to one of `dial`, until `close`.

    Each connection has two threads, which wait for the slower side. Connections beyond
    `CONNECTIONS` at a time are refused; one whose destination cannot be dialled ends at once.
    """

    def __init__(self, listener: socket.socket, dial: Dial) -> None:
        self._listener = listener
        self._dial = dial
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._closed = threading.Event()
        listener.settimeout(0.0)
        # A selector waits for a connection or for the end. `shutdown` does not end an `accept` on
        # every system; on Linux, one with a timeout spins on a Unix socket until that is over.
        self._stop, self._stopped = socket.socketpair()
        self._acceptor = threading.Thread(target=self._accept, name="forwarder", daemon=True)
        self._acceptor.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._listener.getsockname()[1])

    def close(self) -> None:
        """End all connections and stop listening."""
        with self._lock:
            self._closed.set()
            sockets = tuple(self._open)
        for sock in (self._listener, *sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._stop.close()
        self._acceptor.join()
        self._listener.close()
        self._stopped.close()
        for thread in tuple(self._threads):
            thread.join()

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            for sock in (self._listener, self._stopped):
                selector.register(sock, selectors.EVENT_READ)
            while not self._closed.is_set():
                selector.select()
                self._accept_one()

    def _accept_one(self) -> None:
        try:
            client = self._listener.accept()[0]
        except BlockingIOError:
            return
        except OSError:  # closed, or temporarily out of descriptors
            self._closed.wait(0.05)
            return
        # After `shutdown` some systems still return a connection that came before it.
        if self._closed.is_set() or len(self._open) >= 2 * CONNECTIONS:
            client.close()
            return
        thread = threading.Thread(target=self._forward, args=(client,), daemon=True)
        self._threads.add(thread)
        thread.start()

    def _forward(self, client: socket.socket) -> None:
        try:
            with client, contextlib.suppress(OSError), self._dial() as server:
                self._copy_both_ways(client, server)
        finally:
            self._threads.discard(threading.current_thread())

    def _copy_both_ways(self, client: socket.socket, server: socket.socket) -> None:
        ends = {client, server}
        with self._lock:
            if self._closed.is_set():
                return
            self._open |= ends
        try:
            for sock in ends:
                sock.settimeout(None)
            back = threading.Thread(target=_copy, args=(server, client), daemon=True)
            back.start()
            _copy(client, server)
            back.join()
        finally:
            with self._lock:
                self._open -= ends


def _listen(listener: socket.socket, address: tuple[str, int] | str) -> socket.socket:
    try:
        if sys.platform == "win32":
            # On Windows, SO_REUSEADDR would share a port that is in use.
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
    """Copy all data and then the end of the stream; an error on one side ends both."""
    try:
        while data := source.recv(_CHUNK):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
