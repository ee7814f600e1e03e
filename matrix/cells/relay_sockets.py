"""Sockets of connections through a relay; one thread moves bytes between them and their channels.

No connection blocks another, and at most a window of bytes is buffered for each.
"""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import selectors
import socket
import threading
from collections.abc import Callable

from matrix.cells.relay_protocol import CHUNK, WINDOW, Frame, FrameKind, ProtocolError

WAITING_FRAMES = 1024
_CREDIT_STEP = WINDOW // 4
_RETRY_ERRORS = (BlockingIOError, InterruptedError)


class SocketMux:
    """A thread that runs until `close`; `failed` is called with the error that ends it earlier."""

    def __init__(self, send: Callable[[Frame], None], failed: Callable[[Exception], None]) -> None:
        self._send = send
        self._failed = failed
        self._inbox: queue.Queue[_Command] = queue.Queue(WAITING_FRAMES)
        self._streams: dict[int, _Stream] = {}
        self._selector = selectors.DefaultSelector()
        self._woken, self._wake = socket.socketpair()
        for end in (self._woken, self._wake):
            end.settimeout(0)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="socket mux", daemon=True)
        self._thread.start()

    def add(self, channel: int, sock: socket.socket) -> None:
        """Attach a connected socket, which from now on belongs to the mux, to a channel."""
        self._submit(_Command(lambda: self._add(channel, sock, connected=True), sock))

    def dial(self, channel: int, port: int) -> None:
        """Attach a new connection to 127.0.0.1:`port` to a channel."""
        self._submit(_Command(lambda: self._dial(channel, port)))

    def receive(self, frame: Frame) -> None:
        """Handle a frame of a connection's channel; ignore it if the channel was dropped."""
        self._submit(_Command(lambda: self._receive(frame)))

    def drop(self, channel: int) -> None:
        """Close the socket of a channel."""
        self._submit(_Command(lambda: self._drop(channel)))

    def end(self) -> None:
        """Start to close every socket, without waiting."""
        self._closing = True
        self._wake_up()

    def close(self) -> None:
        """Close every socket."""
        self.end()
        self._thread.join()

    def _submit(self, command: _Command) -> None:
        while not self._closing:
            with contextlib.suppress(queue.Full):
                self._inbox.put(command, timeout=0.2)
                break
        self._wake_up()
        if self._closing:
            if command.sock is not None:
                command.sock.close()
            self._discard_commands()

    def _discard_commands(self) -> None:
        """Close the sockets of commands that came too late."""
        with contextlib.suppress(queue.Empty):
            while True:
                command = self._inbox.get_nowait()
                if command.sock is not None:
                    command.sock.close()

    def _wake_up(self) -> None:
        with contextlib.suppress(OSError):  # the buffer is full, or the socket is closed
            self._wake.send(b"!")

    def _run(self) -> None:
        try:
            while not self._closing:
                for key, events in self._selector.select():
                    stream: _Stream | None = key.data
                    if stream is None:
                        self._run_commands()
                    elif self._streams.get(stream.channel) is stream:
                        self._transfer(stream, events)
        except Exception as error:  # noqa: BLE001 - after any error, waits must end
            self._failed(error)
        finally:
            self._closing = True
            self._discard_commands()
            for stream in self._streams.values():
                stream.sock.close()
            self._selector.close()
            self._woken.close()
            self._wake.close()

    def _run_commands(self) -> None:
        with contextlib.suppress(*_RETRY_ERRORS):
            self._woken.recv(CHUNK)
        with contextlib.suppress(queue.Empty):
            while True:
                self._inbox.get_nowait().run()

    def _dial(self, channel: int, port: int) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.settimeout(0)
        sock.connect_ex(("127.0.0.1", port))
        self._add(channel, sock, connected=False)

    def _add(self, channel: int, sock: socket.socket, *, connected: bool) -> None:
        if channel in self._streams:
            sock.close()
            raise ProtocolError(f"channel {channel} is already open")
        sock.settimeout(0)
        stream = self._streams[channel] = _Stream(channel, sock, connected=connected)
        self._watch(stream)

    def _receive(self, frame: Frame) -> None:
        stream = self._streams.get(frame.channel)
        if stream is None:
            return
        if frame.kind is FrameKind.DATA:
            stream.unsent += frame.payload
            if len(stream.unsent) + stream.owed > WINDOW:
                raise ProtocolError("more data than the credit allows")
        elif frame.kind is FrameKind.CREDIT:
            stream.credit += frame.number
        elif frame.kind is FrameKind.END:
            stream.channel_ended = True
        elif frame.kind is FrameKind.RESET:
            self._drop(frame.channel)
            return
        self._transfer(stream, selectors.EVENT_WRITE)

    def _transfer(self, stream: _Stream, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                self._write(stream)
            if events & selectors.EVENT_READ and stream.credit and not stream.socket_ended:
                self._read(stream)
            if stream.finish():
                self._drop(stream.channel)
            else:
                self._watch(stream)
        except _RETRY_ERRORS:
            self._watch(stream)
        except OSError:
            self._send(Frame(FrameKind.RESET, stream.channel))
            self._drop(stream.channel)

    def _read(self, stream: _Stream) -> None:
        data = stream.sock.recv(min(CHUNK, stream.credit))
        if data:
            stream.credit -= len(data)
            self._send(Frame(FrameKind.DATA, stream.channel, data))
        else:
            stream.socket_ended = True
            self._send(Frame(FrameKind.END, stream.channel))

    def _write(self, stream: _Stream) -> None:
        stream.check_connected()
        if not stream.unsent:
            return
        sent = stream.sock.send(stream.unsent[:CHUNK])
        del stream.unsent[:sent]
        stream.owed += sent
        if stream.owed >= _CREDIT_STEP:
            self._send(Frame.of_number(FrameKind.CREDIT, stream.channel, stream.owed))
            stream.owed = 0

    def _watch(self, stream: _Stream) -> None:
        events = stream.events()
        watched = stream.watched
        if events == watched:
            return
        if not watched:
            self._selector.register(stream.sock, events, stream)
        elif not events:
            self._selector.unregister(stream.sock)
        else:
            self._selector.modify(stream.sock, events, stream)
        stream.watched = events

    def _drop(self, channel: int) -> None:
        stream = self._streams.pop(channel, None)
        if stream is None:
            return
        if stream.watched:
            self._selector.unregister(stream.sock)
        stream.sock.close()


@dataclasses.dataclass(frozen=True)
class _Command:
    """A call for the thread of the mux to make, and the socket that the mux gets by it."""

    run: Callable[[], None]
    sock: socket.socket | None = None


class _Stream:
    """A socket and its buffered bytes; `owed` is credit to be given back to the other side."""

    def __init__(self, channel: int, sock: socket.socket, *, connected: bool) -> None:
        self.channel = channel
        self.sock = sock
        self.connected = connected
        self.unsent = bytearray()
        self.credit = WINDOW
        self.owed = 0
        self.socket_ended = False
        self.channel_ended = False
        self.shut = False
        self.watched = 0

    def events(self) -> int:
        """Return the events to wait for."""
        if not self.connected:
            return selectors.EVENT_WRITE
        reads = self.credit and not self.socket_ended
        return (selectors.EVENT_READ if reads else 0) | (
            selectors.EVENT_WRITE if self.unsent else 0
        )

    def check_connected(self) -> None:
        """Set `connected`; raise OSError if the connection is not established."""
        if not self.connected:
            number = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                raise OSError(number, "refused")
            self.sock.getpeername()
            self.connected = True

    def finish(self) -> bool:
        """Shut the socket down after the end of the channel; return whether both have ended."""
        if self.connected and self.channel_ended and not self.unsent and not self.shut:
            self.shut = True
            self.sock.shutdown(socket.SHUT_WR)
        return self.shut and self.socket_ended
