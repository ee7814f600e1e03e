"""A process that a relay has started."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, InvalidStateError
from typing import Protocol, TypeVar

from matrix.cells.log import Log
from matrix.cells.wire import WINDOW, Frame, Kind

__all__ = ["LostError", "Relayed", "settle"]

T = TypeVar("T")

_CREDIT_STEP = WINDOW // 4


class Wire(Protocol):
    """Takes frames to the relay."""

    def send(self, frame: Frame) -> None:
        """Send a frame, some time soon."""
        ...

    def ask(self, frame: Frame, seconds: float) -> Frame:
        """Send a frame and return the answer; raises OSError."""
        ...

    def forget(self, channel: int) -> None:
        """Say that nothing more is wanted of a channel."""
        ...


class LostError(OSError):
    """The relay is not there any more, or never answered."""


class Relayed:
    """A process that the relay has started: `log` has its output, `ended` its exit code."""

    def __init__(self, wire: Wire, channel: int, log: Log) -> None:
        self._wire = wire
        self._owed = 0
        self.channel = channel
        self.log = log
        self.ended: Future[int] = Future()

    def signal(self, number: int) -> None:
        """Signal its group."""
        self._wire.send(Frame.of_number(Kind.SIGNAL, self.channel, number))

    def close_input(self) -> None:
        """End its standard input."""
        self._wire.send(Frame(Kind.END, self.channel))

    def kill(self, seconds: float) -> int:
        """Kill it with all that it started; return how many would not die."""
        return self._wire.ask(Frame(Kind.KILL, self.channel), seconds).number

    def forget(self) -> None:
        """Say that nothing more is wanted of it."""
        self._wire.forget(self.channel)

    def take(self, frame: Frame) -> None:
        """Take what the relay says of it."""
        if frame.kind is Kind.DATA:
            self.log.take(frame.payload)
            self._owed += len(frame.payload)
            if self._owed >= _CREDIT_STEP:
                self._wire.send(Frame.of_number(Kind.CREDIT, self.channel, self._owed))
                self._owed = 0
        elif frame.kind is Kind.END:
            self.log.take(b"")
        elif frame.kind is Kind.EXITED:
            settle(self.ended, frame.numbers[0])

    def lose(self, words: str) -> None:
        """End every wait for it."""
        self.log.take(b"")
        settle(self.ended, LostError(words))


def settle(future: Future[T], result: T | LostError) -> None:
    """Set what a future ends with, unless another thread was quicker."""
    with contextlib.suppress(InvalidStateError):
        if isinstance(result, LostError):
            future.set_exception(result)
        else:
            future.set_result(result)
