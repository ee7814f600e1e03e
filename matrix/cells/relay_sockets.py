"""Connections on our side of a relay: one thread moves bytes between their sockets and channels.

Nothing here waits for one connection, and of each no more than a window is kept.
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

__all__ = ["SocketMux"]

WAITING_FRAMES = 1024
_CREDIT_STEP = WINDOW // 4
_LATER = (BlockingIOError, InterruptedError)


class SocketMux:
    """A thread, from when it is made until `close`. `failed` is told what ended it before."""

    def __init__(self, send: Callable[[Frame], None], failed: Callable[[Exception], None]) -> None:
        self._send = send
        self._failed = failed
        self._inbox: queue.Queue[_Order] = queue.Queue(WAITING_FRAMES)
        self._streams: dict[int, _Stream] = {}
        self._selector = selectors.DefaultSelector()
        self._woken, self._wake = socket.socketpair()
        for end in (self._woken, self._wake):
            end.settimeout(0)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="pump", daemon=True)
        self._thread.start()

    def add(self, channel: int, sock: socket.socket) -> None:
        """Tie a connected socket, which from now on belongs to the pump, to a channel."""
        self._do(_Order(lambda: self._add(channel, sock, connected=True), sock))

    def dial(self, channel: int, port: int) -> None:
        """Tie a new connection to 127.0.0.1:`port` to a channel."""
        self._do(_Order(lambda: self._dial(channel, port)))

    def take(self, frame: Frame) -> None:
        """Take a frame of a connection's channel; for one that is gone it comes late."""
        self._do(_Order(lambda: self._take(frame)))

    def drop(self, channel: int) -> None:
        """Forget a channel."""
        self._do(_Order(lambda: self._drop(channel)))

    def end(self) -> None:
        """Close every socket, some time soon."""
        self._closing = True
        self._poke()

    def close(self) -> None:
        """Close every socket."""
        self.end()
        self._thread.join()

    def _do(self, order: _Order) -> None:
        while not self._closing:
            with contextlib.suppress(queue.Full):
                self._inbox.put(order, timeout=0.2)
                break
        self._poke()
        if self._closing:
            if order.sock is not None:
                order.sock.close()
            self._throw_away()

    def _throw_away(self) -> None:
        """Close the sockets that came too late."""
        with contextlib.suppress(queue.Empty):
            while True:
                order = self._inbox.get_nowait()
                if order.sock is not None:
                    order.sock.close()

    def _poke(self) -> None:
        with contextlib.suppress(OSError):  # full of pokes, or closed
            self._wake.send(b"!")

    def _run(self) -> None:
        try:
            while not self._closing:
                for key, events in self._selector.select():
                    stream: _Stream | None = key.data
                    if stream is None:
                        self._listen()
                    elif self._streams.get(stream.channel) is stream:
                        self._turn(stream, events)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody shall wait for us
            self._failed(error)
        finally:
            self._closing = True
            self._throw_away()
            for stream in self._streams.values():
                stream.sock.close()
            self._selector.close()
            self._woken.close()
            self._wake.close()

    def _listen(self) -> None:
        with contextlib.suppress(*_LATER):
            self._woken.recv(CHUNK)
        with contextlib.suppress(queue.Empty):
            while True:
                self._inbox.get_nowait().do()

    def _dial(self, channel: int, port: int) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.settimeout(0)
        sock.connect_ex(("127.0.0.1", port))
        self._add(channel, sock, connected=False)

    def _add(self, channel: int, sock: socket.socket, *, connected: bool) -> None:
        if channel in self._streams:
            sock.close()
            raise ProtocolError(f"channel {channel} twice")
        sock.settimeout(0)
        stream = self._streams[channel] = _Stream(channel, sock, connected=connected)
        self._watch(stream)

    def _take(self, frame: Frame) -> None:
        stream = self._streams.get(frame.channel)
        if stream is None:
            return
        if frame.kind is FrameKind.DATA:
            stream.waiting += frame.payload
            if len(stream.waiting) + stream.owed > WINDOW:
                raise ProtocolError("more than there is credit for")
        elif frame.kind is FrameKind.CREDIT:
            stream.credit += frame.number
        elif frame.kind is FrameKind.END:
            stream.heard_all = True
        elif frame.kind is FrameKind.RESET:
            self._drop(frame.channel)
            return
        self._turn(stream, selectors.EVENT_WRITE)

    def _turn(self, stream: _Stream, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                self._write(stream)
            if events & selectors.EVENT_READ and stream.credit and not stream.said_all:
                self._read(stream)
            if stream.settle():
                self._drop(stream.channel)
            else:
                self._watch(stream)
        except _LATER:
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
            stream.said_all = True
            self._send(Frame(FrameKind.END, stream.channel))

    def _write(self, stream: _Stream) -> None:
        stream.finish()
        if not stream.waiting or not stream.connected:
            return
        sent = stream.sock.send(stream.waiting[:CHUNK])
        del stream.waiting[:sent]
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
class _Order:
    """Something for the pump's thread to do, and the socket that it is given for that."""

    do: Callable[[], None]
    sock: socket.socket | None = None


class _Stream:
    """A socket and what is not yet moved; `owed` is credit that the other side gets back."""

    def __init__(self, channel: int, sock: socket.socket, *, connected: bool) -> None:
        self.channel = channel
        self.sock = sock
        self.connected = connected
        self.waiting = bytearray()
        self.credit = WINDOW
        self.owed = 0
        self.said_all = False  # by the socket
        self.heard_all = False  # from the channel
        self.shut = False
        self.watched = 0

    def events(self) -> int:
        """Return what to wait for."""
        if not self.connected:
            return selectors.EVENT_WRITE
        reads = self.credit and not self.said_all
        return (selectors.EVENT_READ if reads else 0) | (
            selectors.EVENT_WRITE if self.waiting else 0
        )

    def finish(self) -> None:
        """Take note that the connection stands; raise OSError where it does not."""
        if not self.connected:
            number = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                raise OSError(number, "refused")
            self.sock.getpeername()
            self.connected = True

    def settle(self) -> bool:
        """Hand on the end; return whether both sides have said all."""
        if self.connected and self.heard_all and not self.waiting and not self.shut:
            self.shut = True
            self.sock.shutdown(socket.SHUT_WR)
        return self.shut and self.said_all
