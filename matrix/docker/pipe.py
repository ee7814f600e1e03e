"""Standard streams of a container's first process, over one connection to the engine.

The engine sends standard output and standard error in frames: a header of eight bytes, then the
given number of bytes of one stream.

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

OUT = 1
ERR = 2
_HEADER = struct.Struct(">B3sL")


class FramingError(ValueError):
    """The bytes received are not a frame."""


class Frames:
    """Incremental decoder of frames into pieces of the two streams; it buffers no payload.

    A frame may be as long as 4 GiB: its payload is returned in the pieces in which it arrives.
    """

    def __init__(self) -> None:
        self._header = b""
        self._stream = OUT
        self._remaining = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return pieces as (OUT or ERR, bytes) in order; raise FramingError."""
        pieces = []
        view = memoryview(data)
        while view:
            if not self._remaining:
                missing = _HEADER.size - len(self._header)
                self._header += bytes(view[:missing])
                view = view[missing:]
                if len(self._header) == _HEADER.size:
                    self._begin_frame()
                continue
            piece = bytes(view[: self._remaining])
            view = view[len(piece) :]
            self._remaining -= len(piece)
            pieces.append((self._stream, piece))
        return pieces

    def _begin_frame(self) -> None:
        stream, padding, self._remaining = _HEADER.unpack(self._header)
        if stream not in (OUT, ERR) or padding != b"\0\0\0":
            raise FramingError(f"invalid frame header {self._header!r}")
        self._stream = stream
        self._header = b""


_BLOCK = 256 * 1024
_MAX_ERROR_BYTES = 16 * 1024


class DockerPipe:
    """A `Pipe` over the connection of an attach request, which it owns."""

    def __init__(self, connection: socket.socket, response: Any) -> None:  # noqa: ANN401
        """`response` is that of the attach request; it must not be collected before `close`."""
        connection.settimeout(None)
        self._socket = connection
        self._response = response
        self._frames = Frames()
        self._errors = b""
        self._close_lock = threading.Lock()
        self._closed = False
        self._ended = False

    def write(self, data: bytes) -> None:
        """Send all of `data`; raise OSError where the process has ended."""
        if self._ended:
            raise BrokenPipeError("the container's first process has ended")
        self._socket.sendall(data)

    def read(self) -> bytes:
        """Return the next bytes of standard output, b"" at the end; raise OSError."""
        while True:
            pieces = self.pieces(None)
            if pieces is None:
                return b""
            out = b"".join(piece for stream, piece in pieces if stream == OUT)
            if out:
                return out

    def pieces(self, deadline: float | None) -> list[tuple[int, bytes]] | None:
        """Return the next pieces of both streams, None at the end.

        Raises TimeoutError at `deadline` (of time.monotonic()) and OSError.
        """
        if deadline is not None and not self._readable(max(0.0, deadline - time.monotonic())):
            raise TimeoutError("no output in time")
        data = self._socket.recv(_BLOCK)
        if not data:
            # The engine still accepts input for a process that has ended, and when its buffer is
            # full the writer waits for minutes (20.10): so the reader shuts down both directions.
            self._ended = True
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            return None
        try:
            pieces = self._frames.feed(data)
        except FramingError as error:
            raise OSError(f"invalid output from the engine: {error}") from error
        self._errors = (self._errors + b"".join(p for s, p in pieces if s != OUT))[
            -_MAX_ERROR_BYTES:
        ]
        return pieces

    def end_input(self) -> None:
        """Close the process's standard input; its output can still be read."""
        with contextlib.suppress(OSError):
            if isinstance(self._socket, ssl.SSLSocket):
                # TLS closes one direction by a message of its own, whose answer comes at the end.
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
        """The end of standard error so far."""
        return self._errors.decode(errors="replace")

    def close(self) -> None:
        """Close the process's standard input and wake the reader."""
        with self._close_lock:
            if self._closed:
                return
            self._closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._socket.close()
        self._response.close()

    def _readable(self, seconds: float) -> bool:
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            return bool(selector.select(seconds))
