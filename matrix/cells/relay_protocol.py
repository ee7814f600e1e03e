"""Frames between a cell and the relay in its container; see fixtures/cell/relay_wire.py."""

from __future__ import annotations

import dataclasses
import enum
import struct

VERSION = 2
HEADER = struct.Struct(">BII")
NUMBER = struct.Struct(">I")
LONGEST = 1 << 20
WINDOW = 1 << 18
CHUNK = 1 << 15


class ProtocolError(Exception):
    """Invalid data was received, or a frame that is not allowed now."""


class FrameKind(enum.IntEnum):
    """Kinds of frames. Those up to MEASURE go to the relay, those from HELLO on come from it."""

    LISTEN = 1
    CONNECT = 2
    START = 3
    SIGNAL = 4
    KILL = 5
    MEASURE = 6
    DATA = 16
    END = 17
    RESET = 18
    CREDIT = 19
    HELLO = 32
    LISTENING = 33
    ACCEPTED = 34
    CONNECTED = 35
    STARTED = 36
    EXITED = 37
    KILLED = 38
    FAILED = 39
    MEASURED = 40


@dataclasses.dataclass(frozen=True)
class Frame:
    """One frame; the meaning of the payload depends on the kind."""

    kind: FrameKind
    channel: int
    payload: bytes = b""

    def __bytes__(self) -> bytes:
        """Return the encoded frame."""
        return HEADER.pack(self.kind, self.channel, len(self.payload)) + self.payload

    @classmethod
    def of_number(cls, kind: FrameKind, channel: int, number: int) -> Frame:
        """Return a frame whose payload is a number."""
        return cls(kind, channel, NUMBER.pack(number))

    @property
    def number(self) -> int:
        """The payload as a number; raises ProtocolError."""
        try:
            return int(NUMBER.unpack(self.payload)[0])
        except struct.error as error:
            raise ProtocolError(f"{self.kind.name} frame without a number") from error

    @property
    def texts(self) -> tuple[str, ...]:
        """The payload as texts."""
        return tuple(self.payload.decode("utf-8", "replace").split("\0"))

    def numbers(self, count: int) -> tuple[int, ...]:
        """Return the payload as so many decimal numbers; raises ProtocolError."""
        try:
            found = tuple(int(text) for text in self.texts)
        except ValueError as error:
            raise ProtocolError(f"{self.kind.name} frame without numbers") from error
        if len(found) != count:
            raise ProtocolError(f"{self.kind.name} frame without {count} numbers")
        return found


class FrameDecoder:
    """Decodes frames from a stream of bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def decode(self, data: bytes) -> list[Frame]:
        """Add `data` and return the frames that are complete now; raises ProtocolError."""
        self._buffer += data
        frames = []
        start = 0
        while len(self._buffer) - start >= HEADER.size:
            number, channel, length = HEADER.unpack_from(self._buffer, start)
            if length > LONGEST:
                raise ProtocolError(f"frame of {length} bytes (at most {LONGEST})")
            end = start + HEADER.size + length
            if len(self._buffer) < end:
                break
            try:
                kind = FrameKind(number)
            except ValueError as error:
                raise ProtocolError(f"unknown frame kind {number}") from error
            frames.append(Frame(kind, channel, bytes(self._buffer[start + HEADER.size : end])))
            start = end
        del self._buffer[:start]
        return frames
