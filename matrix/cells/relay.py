"""Our side of the relay in a cell's container: its processes, and ways in and out, by one pipe.

A process that a relay has started.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import socket
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Protocol, TypeVar

from matrix.cells.client import Endpoint
from matrix.cells.log import BoundedLog
from matrix.cells.relay_protocol import (
    VERSION,
    WINDOW,
    Frame,
    FrameDecoder,
    FrameKind,
    ProtocolError,
)
from matrix.cells.relay_sockets import SocketMux
from matrix.docker.interface import Pipe

__all__ = ["RelayClient", "RelayLostError", "RelayedApp", "settle"]

T = TypeVar("T")

_CREDIT_STEP = WINDOW // 4


class RelayConnection(Protocol):
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


class RelayLostError(OSError):
    """The relay is not there any more, or never answered."""


class RelayedApp:
    """A process that the relay has started: `log` has its output, `ended` its exit code."""

    def __init__(self, wire: RelayConnection, channel: int, log: BoundedLog) -> None:
        self._wire = wire
        self._owed = 0
        self.channel = channel
        self.log = log
        self.ended: Future[int] = Future()

    def signal(self, number: int) -> None:
        """Signal its group."""
        self._wire.send(Frame.of_number(FrameKind.SIGNAL, self.channel, number))

    def close_input(self) -> None:
        """End its standard input."""
        self._wire.send(Frame(FrameKind.END, self.channel))

    def kill(self, seconds: float) -> int:
        """Kill it with all that it started; return how many would not die."""
        return self._wire.ask(Frame(FrameKind.KILL, self.channel), seconds).number

    def forget(self) -> None:
        """Say that nothing more is wanted of it."""
        self._wire.forget(self.channel)

    def take(self, frame: Frame) -> None:
        """Take what the relay says of it."""
        if frame.kind is FrameKind.DATA:
            self.log.take(frame.payload)
            self._owed += len(frame.payload)
            if self._owed >= _CREDIT_STEP:
                self._wire.send(Frame.of_number(FrameKind.CREDIT, self.channel, self._owed))
                self._owed = 0
        elif frame.kind is FrameKind.END:
            self.log.take(b"")
        elif frame.kind is FrameKind.EXITED:
            settle(self.ended, frame.numbers[0])

    def lose(self, words: str) -> None:
        """End every wait for it."""
        self.log.take(b"")
        settle(self.ended, RelayLostError(words))


def settle(future: Future[T], result: T | RelayLostError) -> None:
    """Set what a future ends with, unless another thread was quicker."""
    with contextlib.suppress(InvalidStateError):
        if isinstance(result, RelayLostError):
            future.set_exception(result)
        else:
            future.set_result(result)


ANSWER_SECONDS = 30.0
_BATCH = 1 << 18
_OF_CONNECTIONS = {FrameKind.DATA, FrameKind.END, FrameKind.RESET, FrameKind.CREDIT}
_ANSWERS = {
    FrameKind.LISTENING,
    FrameKind.CONNECTED,
    FrameKind.STARTED,
    FrameKind.KILLED,
    FrameKind.FAILED,
    FrameKind.MEASURED,
}


class RelayClient:
    """Talks to a relay, from when it is made until `close`. For any number of threads.

    `talks_nonsense` is set where it was lost because what came is not a relay's.
    """

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._numbers = itertools.count(2, 2)
        self._answers: dict[int, Future[Frame]] = {0: Future()}
        self._processes: dict[int, RelayedApp] = {}
        self._ways_out: dict[int, int] = {}
        self._lost: str | None = None
        self.talks_nonsense = False
        self._outbox: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._pump = SocketMux(self.send, lambda error: self._lose(str(error)))
        self._threads = [
            threading.Thread(target=target, name=f"relay {target.__name__}", daemon=True)
            for target in (self._read, self._write)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def lost(self) -> str | None:
        """How the connection to the relay ended, None while it stands."""
        return self._lost

    def hello(self, seconds: float) -> int:
        """Wait for the relay's first word; return its process number. Raises LostError."""
        frame = self._wait(0, self._answers[0], seconds)
        version, pid = frame.numbers
        if version != VERSION:
            raise RelayLostError(f"the relay speaks version {version}, not {VERSION}")
        return pid

    def reach_out(self, port: int, wanted: int = 0) -> tuple[int, int]:
        """Let a port inside lead to 127.0.0.1:`port` here; return channel and port inside.

        That is `wanted`, or any that is free. Raises OSError where it is not.
        """
        channel = next(self._numbers)
        with self._lock:
            self._ways_out[channel] = port
        frame = Frame.of_number(FrameKind.LISTEN, channel, wanted)
        answer = self.ask(frame, ANSWER_SECONDS)
        return channel, answer.number

    def forget(self, channel: int) -> None:
        """Close a way out, or say that nothing more is wanted of a process."""
        with self._lock:
            self._ways_out.pop(channel, None)
            self._processes.pop(channel, None)
        self.send(Frame(FrameKind.RESET, channel))

    def door(self, port: int) -> Endpoint:
        """Return the way to a port inside."""
        return Endpoint(port, lambda seconds: self._connect(port, seconds))

    def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        folder: str,
        room: str = "",
        log: BoundedLog,
    ) -> RelayedApp:
        """Start a process in `folder`; `room` is a folder that is made for it.

        Raises OSError where it cannot be started.
        """
        fields = [folder, room, str(len(command)), *command]
        fields += [f"{name}={value}" for name, value in environment.items()]
        if any("\0" in field for field in fields):
            raise ValueError("embedded null byte")
        payload = "\0".join(fields).encode("utf-8", "surrogateescape")
        channel = next(self._numbers)
        process = RelayedApp(self, channel, log)
        with self._lock:
            self._processes[channel] = process
        try:
            self.ask(Frame(FrameKind.START, channel, payload), ANSWER_SECONDS)
        except BaseException:
            with self._lock:
                self._processes.pop(channel, None)
            raise
        return process

    def measure(self, folder: str) -> tuple[int, int]:
        """Return the free bytes where `folder` is, and how often the system has ended a process
        for want of memory, -1 where it does not say.
        """
        channel = next(self._numbers)
        return self.ask(Frame(FrameKind.MEASURE, channel, folder.encode()), ANSWER_SECONDS).numbers

    def ask(self, frame: Frame, seconds: float) -> Frame:
        """Send a frame and return the answer; raises OSError as the relay says, LostError."""
        future: Future[Frame] = Future()
        with self._lock:
            self._answers[frame.channel] = future
        self.send(frame)
        if self._lost is not None:  # perhaps after all waits were ended
            self._lose(self._lost)
        return self._wait(frame.channel, future, seconds)

    def send(self, frame: Frame) -> None:
        """Send a frame, some time soon."""
        if self._lost is None:
            self._outbox.put(frame)

    def close(self) -> None:
        """Let go of the pipe, at which the relay ends with all that it started."""
        self._lose("closed")
        self._pump.close()
        for thread in self._threads:
            thread.join()

    def _connect(self, port: int, seconds: float) -> socket.socket:
        ours, theirs = socket.socketpair()
        channel = next(self._numbers)
        # Before anything can come for it.
        self._pump.add(channel, theirs)
        try:
            self.ask(Frame.of_number(FrameKind.CONNECT, channel, port), seconds)
        except BaseException:
            self._pump.drop(channel)
            self.send(Frame(FrameKind.RESET, channel))
            ours.close()
            raise
        ours.settimeout(seconds)
        return ours

    def _wait(self, channel: int, future: Future[Frame], seconds: float) -> Frame:
        try:
            frame = future.result(seconds)
        except FutureTimeoutError:
            raise TimeoutError(f"the relay did not answer within {seconds:g} s") from None
        finally:
            with self._lock:
                self._answers.pop(channel, None)
        if frame.kind is FrameKind.FAILED:
            number, _, words = "\0".join(frame.words).partition("\0")
            with contextlib.suppress(ValueError):
                raise OSError(int(number), words.rpartition("] ")[2])
            raise RelayLostError(words)
        return frame

    def _read(self) -> None:
        decoder = FrameDecoder()
        try:
            while data := self._pipe.read():
                for frame in decoder.take(data):
                    self._take(frame)
            words = self._pipe.errors.strip().splitlines()
            self._lose(words[-1] if words else "the relay ended")
        except ProtocolError as error:
            self.talks_nonsense = True
            self._lose(f"the relay talks nonsense: {error}")
        except OSError as error:
            self._lose(f"the relay is not heard any more: {error}")

    def _take(self, frame: Frame) -> None:
        with self._lock:
            process = self._processes.get(frame.channel)
            way_out = self._ways_out.get(frame.channel)
            answer = self._answers.get(frame.channel)
        if frame.kind is FrameKind.HELLO or frame.kind in _ANSWERS:
            if answer is not None:
                settle(answer, frame)
        elif process is not None:
            process.take(frame)
        elif frame.kind is FrameKind.ACCEPTED:
            if way_out is None:
                self.send(Frame(FrameKind.RESET, frame.number))
            else:
                self._pump.dial(frame.number, way_out)
        elif frame.kind in _OF_CONNECTIONS:
            self._pump.take(frame)

    def _write(self) -> None:
        while (frame := self._outbox.get()) is not None:
            batch = bytearray(bytes(frame))
            ends = False
            with contextlib.suppress(queue.Empty):
                while len(batch) < _BATCH:
                    after = self._outbox.get_nowait()
                    if after is None:
                        ends = True
                        break
                    batch += bytes(after)
            try:
                self._pipe.write(bytes(batch))
            except OSError as error:
                self._lose(f"the relay does not listen any more: {error}")
                return
            if ends:
                return

    def _lose(self, words: str) -> None:
        """Take note of the end, the first time, and end all waits."""
        with self._lock:
            first = self._lost is None
            self._lost = self._lost or words
            answers, processes = list(self._answers.values()), list(self._processes.values())
            self._processes.clear()
        self._outbox.put(None)
        if first:
            # Wakes the reader; the relay, if it is there, ends at the end of its input.
            self._pipe.close()
            self._pump.end()
        for answer in answers:
            settle(answer, RelayLostError(self._lost))
        for process in processes:
            process.lose(self._lost)
