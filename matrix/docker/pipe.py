"""Standard input and output of a container's first process, over one connection to the engine.

Docker's framing of standard output and standard error on one connection: eight bytes of header,
then so many bytes of one stream.

https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import struct
import threading
import time
from typing import Any

__all__ = ["ERR", "OUT", "DockerPipe", "Frames", "FramingError"]

OUT = 1
ERR = 2
_HEADER = struct.Struct(">B3sL")


class FramingError(ValueError):
    """What came is not a frame."""


class Frames:
    """Takes bytes as they come and gives the pieces of the two streams, holding back nothing.

    A frame may be as long as 4 GiB: its payload is handed on in the pieces in which it comes.
    """

    def __init__(self) -> None:
        self._head = b""
        self._stream = OUT
        self._left = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return (OUT or ERR, bytes) in order; raise FramingError."""
        found = []
        view = memoryview(data)
        while view:
            if not self._left:
                wanted = _HEADER.size - len(self._head)
                self._head += bytes(view[:wanted])
                view = view[wanted:]
                if len(self._head) == _HEADER.size:
                    self._begin()
                continue
            piece = bytes(view[: self._left])
            view = view[len(piece) :]
            self._left -= len(piece)
            found.append((self._stream, piece))
        return found

    @property
    def complete(self) -> bool:
        """Whether the end may be here: between two frames."""
        return not self._left and not self._head

    def _begin(self) -> None:
        stream, padding, self._left = _HEADER.unpack(self._head)
        if stream not in (OUT, ERR) or padding != b"\0\0\0":
            raise FramingError(f"no frame begins with {self._head!r}")
        self._stream = stream
        self._head = b""


_BLOCK = 256 * 1024
_KEPT = 16 * 1024


class DockerPipe:
    """A `Pipe` over the connection that an attach has taken over; it owns the connection."""

    def __init__(self, connection: socket.socket, keep: Any) -> None:  # noqa: ANN401
        """`keep` is the response the connection came from: it must not be collected before."""
        connection.settimeout(None)
        self._socket = connection
        self._keep = keep
        self._frames = Frames()
        self._errors = b""
        self._closing = threading.Lock()
        self._closed = False
        self._over = False

    def write(self, data: bytes) -> None:
        """Send all of it; raise OSError where nobody is there any more."""
        if self._over:
            raise BrokenPipeError("the container's first process has ended")
        self._socket.sendall(data)

    def read(self) -> bytes:
        """Return what came on standard output next, b"" at the end; raise OSError."""
        while True:
            pieces = self.pieces(None)
            if pieces is None:
                return b""
            out = b"".join(piece for stream, piece in pieces if stream == OUT)
            if out:
                return out

    def pieces(self, deadline: float | None) -> list[tuple[int, bytes]] | None:
        """Return what came next on either stream, None at the end.

        Raises TimeoutError at `deadline` (of time.monotonic()) and OSError.
        """
        if deadline is not None and not self._readable(max(0.0, deadline - time.monotonic())):
            raise TimeoutError("nothing came in time")
        data = self._socket.recv(_BLOCK)
        if not data:
            # The engine goes on taking input for a process that has ended, and when its buffer is
            # full the writer waits for minutes (20.10): so it is the reader that ends both ways.
            self._over = True
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            return None
        try:
            pieces = self._frames.feed(data)
        except FramingError as error:
            raise OSError(f"what came from the engine is not output: {error}") from error
        self._errors = (self._errors + b"".join(p for s, p in pieces if s != OUT))[-_KEPT:]
        return pieces

    def end_input(self) -> None:
        """End the process's standard input; what it still writes can be read."""
        with contextlib.suppress(OSError):
            if isinstance(self._socket, ssl.SSLSocket):
                # TLS says "no more from me" by a message of its own; its answer comes at the end.
                self._socket.settimeout(0)
                try:
                    self._socket.unwrap()
                except ssl.SSLWantReadError:
                    pass
                finally:
                    self._socket.settimeout(None)
            else:
                self._socket.shutdown(socket.SHUT_WR)

    @property
    def errors(self) -> str:
        """The end of what came on standard error so far."""
        return self._errors.decode(errors="replace")

    def close(self) -> None:
        """Let go: the process's standard input ends. Wakes the reader."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._socket.close()
        self._keep.close()

    def _readable(self, seconds: float) -> bool:
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            return bool(selector.select(seconds))
