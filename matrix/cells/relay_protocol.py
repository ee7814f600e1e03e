"""Frames between a cell and the relay in its container; see fixtures/cell/relay_wire.py."""

from __future__ import annotations

import dataclasses
import enum
import struct

__all__ = [
    "CHUNK",
    "LONGEST",
    "VERSION",
    "WINDOW",
    "Frame",
    "FrameDecoder",
    "FrameKind",
    "ProtocolError",
]

VERSION = 1
HEADER = struct.Struct(">BII")
NUMBER = struct.Struct(">I")
LONGEST = 1 << 20
WINDOW = 1 << 18
CHUNK = 1 << 15


class ProtocolError(Exception):
    """What came is no frame, or one that nobody may send now."""


class FrameKind(enum.IntEnum):
    """What a frame is for. Up to MEASURE they go to the relay, from HELLO on they come from it."""

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
    """One frame; what the payload is depends on the kind."""

    kind: FrameKind
    channel: int
    payload: bytes = b""

    def __bytes__(self) -> bytes:
        """Return it as it goes over the wire."""
        return HEADER.pack(self.kind, self.channel, len(self.payload)) + self.payload

    @classmethod
    def of_number(cls, kind: FrameKind, channel: int, number: int) -> Frame:
        """Return a frame whose payload is a number."""
        return cls(kind, channel, NUMBER.pack(number))

    @property
    def number(self) -> int:
        """The payload as a number; raises GarbageError."""
        try:
            return int(NUMBER.unpack(self.payload)[0])
        except struct.error as error:
            raise ProtocolError(f"{self.kind.name} without a number") from error

    @property
    def words(self) -> tuple[str, ...]:
        """The payload as texts."""
        return tuple(self.payload.decode("utf-8", "replace").split("\0"))

    @property
    def numbers(self) -> tuple[int, int]:
        """The payload as two numbers in words; raises GarbageError."""
        try:
            first, second = (int(word) for word in self.words)
        except ValueError as error:
            raise ProtocolError(f"{self.kind.name} without two numbers") from error
        return first, second


class FrameDecoder:
    """Bytes to frames, however they were cut."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def take(self, data: bytes) -> list[Frame]:
        """Return the frames that are whole by now; raises GarbageError."""
        self._waiting += data
        frames = []
        at = 0
        while len(self._waiting) - at >= HEADER.size:
            kind, channel, length = HEADER.unpack_from(self._waiting, at)
            if length > LONGEST:
                raise ProtocolError(f"a frame of {length} bytes")
            end = at + HEADER.size + length
            if len(self._waiting) < end:
                break
            try:
                known = FrameKind(kind)
            except ValueError as error:
                raise ProtocolError(f"a frame of kind {kind}") from error
            frames.append(Frame(known, channel, bytes(self._waiting[at + HEADER.size : end])))
            at = end
        del self._waiting[:at]
        return frames
