"""The client of the relay in a cell's container: processes and connections over one pipe."""

from __future__ import annotations

import contextlib
import itertools
import queue
import socket
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TypeVar

from matrix.cells.client import Endpoint
from matrix.cells.log import BoundedLog
from matrix.cells.relay_protocol import (
    NUMBER,
    VERSION,
    WINDOW,
    Frame,
    FrameDecoder,
    FrameKind,
    ProtocolError,
)
from matrix.cells.relay_sockets import SocketMux
from matrix.docker.interface import Pipe

T = TypeVar("T")

ANSWER_SECONDS = 30.0
_CREDIT_STEP = WINDOW // 4
_BATCH = 1 << 18
_CONNECTION_KINDS = {FrameKind.DATA, FrameKind.END, FrameKind.RESET, FrameKind.CREDIT}
_ANSWER_KINDS = {
    FrameKind.HELLO,
    FrameKind.LISTENING,
    FrameKind.CONNECTED,
    FrameKind.STARTED,
    FrameKind.KILLED,
    FrameKind.FAILED,
    FrameKind.MEASURED,
}


class RelayLostError(OSError):
    """The relay has ended, or never answered."""


class RelayClient:
    """A connection to a relay, open until `close`; safe for threads.

    `protocol_broken` is set if it was lost because of invalid data.
    """

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._channels = itertools.count(2, 2)
        self._answers: dict[int, Future[Frame]] = {0: Future()}
        self._processes: dict[int, RelayedApp] = {}
        self._forwarded: dict[int, int] = {}
        self._lost: str | None = None
        self.protocol_broken = False
        self._outbox: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._mux = SocketMux(self.send, lambda error: self._lose(str(error)))
        self._threads = [
            threading.Thread(target=target, name=f"relay {target.__name__}", daemon=True)
            for target in (self._read, self._write)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def lost(self) -> str | None:
        """The reason for the end of the connection, None while it is open."""
        return self._lost

    def wait_hello(self, seconds: float) -> None:
        """Wait for the relay's first frame; raises RelayLostError."""
        version, _pid = self._wait(0, self._answers[0], seconds).numbers(2)
        if version != VERSION:
            raise RelayLostError(f"the relay has protocol version {version}, expected {VERSION}")

    def forward_port(self, port: int, requested: int = 0, address: str = "") -> tuple[int, int]:
        """Forward a port inside to 127.0.0.1:`port` here; return channel and port inside.

        That is `requested`, or any free one if that is 0, on the IP address `address` inside,
        127.0.0.1 if that is "". An address with a slash is the path of a Unix socket instead.
        Raises OSError.
        """
        channel = next(self._channels)
        with self._lock:
            self._forwarded[channel] = port
        frame = Frame(FrameKind.LISTEN, channel, NUMBER.pack(requested) + address.encode())
        answer = self.request(frame, ANSWER_SECONDS)
        return channel, answer.number

    def release(self, channel: int) -> None:
        """Close a forwarded port, or stop to follow a process."""
        with self._lock:
            self._forwarded.pop(channel, None)
            self._processes.pop(channel, None)
        self.send(Frame(FrameKind.RESET, channel))

    def endpoint(self, port: int) -> Endpoint:
        """Return the endpoint of a port inside."""
        return Endpoint(port, lambda seconds: self._connect(port, seconds))

    def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        folder: str,
        new_folder: str = "",
        log: BoundedLog,
    ) -> RelayedApp:
        """Start a process in `folder`; the relay makes `new_folder` before, unless that is "".

        Raises OSError if it cannot be started.
        """
        fields = [folder, new_folder, str(len(command)), *command]
        fields += [f"{name}={value}" for name, value in environment.items()]
        if any("\0" in field for field in fields):
            raise ValueError("embedded null byte")
        payload = "\0".join(fields).encode("utf-8", "surrogateescape")
        channel = next(self._channels)
        process = RelayedApp(self, channel, log)
        with self._lock:
            self._processes[channel] = process
        try:
            self.request(Frame(FrameKind.START, channel, payload), ANSWER_SECONDS)
        except BaseException:
            with self._lock:
                self._processes.pop(channel, None)
            raise
        return process

    def measure(self, folder: str) -> tuple[int, int]:
        """Return the free bytes of the disk of `folder`, and how many processes the system has
        killed for lack of memory, -1 if that is unknown.
        """
        frame = Frame(FrameKind.MEASURE, next(self._channels), folder.encode())
        free, kills = self.request(frame, ANSWER_SECONDS).numbers(2)
        return free, kills

    def request(self, frame: Frame, seconds: float) -> Frame:
        """Send a frame and return the answer; raises RelayLostError, OSError from the relay."""
        future: Future[Frame] = Future()
        with self._lock:
            self._answers[frame.channel] = future
        self.send(frame)
        if self._lost is not None:  # perhaps after all waits were ended
            self._lose(self._lost)
        return self._wait(frame.channel, future, seconds)

    def send(self, frame: Frame) -> None:
        """Queue a frame to be sent."""
        if self._lost is None:
            self._outbox.put(frame)

    def close(self) -> None:
        """Close the pipe; the relay then ends with everything that it started."""
        self._lose("closed")
        self._mux.close()
        for thread in self._threads:
            thread.join()

    def _connect(self, port: int, seconds: float) -> socket.socket:
        ours, theirs = socket.socketpair()
        channel = next(self._channels)
        # Before any frame of the channel can arrive.
        self._mux.add(channel, theirs)
        try:
            self.request(Frame.of_number(FrameKind.CONNECT, channel, port), seconds)
        except BaseException:
            self._mux.drop(channel)
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
            number, _, message = "\0".join(frame.texts).partition("\0")
            with contextlib.suppress(ValueError):
                raise OSError(int(number), message.rpartition("] ")[2])
            raise RelayLostError(message)
        return frame

    def _read(self) -> None:
        decoder = FrameDecoder()
        try:
            while data := self._pipe.read():
                for frame in decoder.decode(data):
                    self._receive(frame)
            lines = self._pipe.errors.strip().splitlines()
            self._lose(lines[-1] if lines else "the relay ended")
        except ProtocolError as error:
            self.protocol_broken = True
            self._lose(f"invalid data from the relay: {error}")
        except OSError as error:
            self._lose(f"cannot read from the relay: {error}")

    def _receive(self, frame: Frame) -> None:
        with self._lock:
            process = self._processes.get(frame.channel)
            port = self._forwarded.get(frame.channel)
            answer = self._answers.get(frame.channel)
        if frame.kind in _ANSWER_KINDS:
            if answer is not None:
                _resolve(answer, frame)
        elif process is not None:
            process.receive(frame)
        elif frame.kind is FrameKind.ACCEPTED:
            if port is None:
                self.send(Frame(FrameKind.RESET, frame.number))
            else:
                self._mux.dial(frame.number, port)
        elif frame.kind in _CONNECTION_KINDS:
            self._mux.receive(frame)

    def _write(self) -> None:
        while (frame := self._outbox.get()) is not None:
            batch = bytearray(bytes(frame))
            with contextlib.suppress(queue.Empty):
                while len(batch) < _BATCH:
                    following = self._outbox.get_nowait()
                    if following is None:
                        self._outbox.put(None)  # for the outer loop
                        break
                    batch += bytes(following)
            try:
                self._pipe.write(bytes(batch))
            except OSError as error:
                self._lose(f"cannot write to the relay: {error}")
                return

    def _lose(self, reason: str) -> None:
        """Record the first reason, and end all waits."""
        with self._lock:
            first = self._lost is None
            self._lost = self._lost or reason
            answers, processes = list(self._answers.values()), list(self._processes.values())
            self._processes.clear()
        self._outbox.put(None)
        if first:
            # Wakes the reader; a relay that still runs ends at the end of its input.
            self._pipe.close()
            self._mux.end()
        for answer in answers:
            _resolve(answer, RelayLostError(self._lost))
        for process in processes:
            process.lose(self._lost)


class RelayedApp:
    """A process that the relay has started: `log` has its output, `ended` its exit code."""

    def __init__(self, relay: RelayClient, channel: int, log: BoundedLog) -> None:
        self._relay = relay
        self._owed = 0
        self.channel = channel
        self.log = log
        self.ended: Future[int] = Future()
        self.cpu_seconds: float | None = None
        """The CPU time of it and of those that it waited for, once it has ended."""

    def signal(self, number: int) -> None:
        """Signal its group."""
        self._relay.send(Frame.of_number(FrameKind.SIGNAL, self.channel, number))

    def close_input(self) -> None:
        """End its standard input."""
        self._relay.send(Frame(FrameKind.END, self.channel))

    def kill(self, seconds: float) -> int:
        """Kill it with everything that it started; return how many processes survived."""
        return self._relay.request(Frame(FrameKind.KILL, self.channel), seconds).number

    def release(self) -> None:
        """Stop to follow it."""
        self._relay.release(self.channel)

    def receive(self, frame: Frame) -> None:
        """Handle a frame of its channel."""
        if frame.kind is FrameKind.DATA:
            self.log.append(frame.payload)
            self._owed += len(frame.payload)
            if self._owed >= _CREDIT_STEP:
                self._relay.send(Frame.of_number(FrameKind.CREDIT, self.channel, self._owed))
                self._owed = 0
        elif frame.kind is FrameKind.END:
            self.log.append(b"")
        elif frame.kind is FrameKind.EXITED:
            code, _kills, milliseconds = frame.numbers(3)
            self.cpu_seconds = milliseconds / 1000
            _resolve(self.ended, code)

    def lose(self, reason: str) -> None:
        """End every wait for it, as the relay was lost."""
        self.log.append(b"")
        _resolve(self.ended, RelayLostError(reason))


def _resolve(future: Future[T], result: T | RelayLostError) -> None:
    """Set the result of a future, unless another thread has done so."""
    with contextlib.suppress(InvalidStateError):
        if isinstance(result, RelayLostError):
            future.set_exception(result)
        else:
            future.set_result(result)
