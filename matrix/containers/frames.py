"""Docker's framing of standard output and standard error on one connection: eight bytes of header,
then so many bytes of one stream.

https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach
"""

from __future__ import annotations

import struct

__all__ = ["ERR", "OUT", "Frames", "FramingError"]

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
