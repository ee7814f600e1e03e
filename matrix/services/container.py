"""A server in a container, in a private network that is reachable from this machine only.

The container's first process ends with its standard input, that is when the server is closed or
this process is killed, and the container ends with it. A later run removes its network then.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from matrix.docker.interface import (
    Confinement,
    Container,
    ContainerEngine,
    ContainerError,
    ContainerSpec,
)
from matrix.services.forwarder import Forwarder, tcp_dial, unix_listener
from matrix.services.server import Server

# The end of the input ends the server, by a signal that it handles: as the first process of its
# namespace it ignores all others.
INIT_COMMAND = (
    "sh",
    "-c",
    'exec 3<&0; (cat <&3; kill $$) >/dev/null 2>&1 & exec "$@" </dev/null 3<&-',
    "sh",
)
"""The start of every container's command; images of servers have a shell."""
_LOG_BYTES = 200_000
_POLL_SECONDS = 0.02
_END_SECONDS = 5.0
_MEMORY = 2 * 1024**3
_PIDS = 1024


@dataclasses.dataclass(frozen=True)
class ServerImage:
    """An image by its id and platform, with its server's ports, user and environment."""

    engine: ContainerEngine
    id: str
    platform: str
    ports: tuple[int, ...]
    user: str
    environment: Mapping[str, str]

    def start(self, command: list[str]) -> Container:
        """Start a container; raise ContainerError."""
        return self.engine.start(
            ContainerSpec(
                self.id,
                self.platform,
                [*INIT_COMMAND, *command],
                environment={"HOME": "/tmp", **self.environment},  # noqa: S108 - inside
                confinement=Confinement(
                    user=self.user, memory=_MEMORY, pids=_PIDS, writable=True, private=True
                ),
            )
        )


class ContainerServer(Server):
    """A running container, and the Unix sockets that lead to its ports, until `close`."""

    def __init__(self, image: ServerImage, command: list[str], folder: Path, lock: int) -> None:
        """Start the container; a copy of the descriptor `lock` stays open until `close`.

        Raises ContainerError, OSError.
        """
        super().__init__(folder / "log")
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, os.dup(lock))
            undo.callback(shutil.rmtree, folder, ignore_errors=True)
            self._container = image.start(command)
            undo.callback(self._remove)
            address = self._container.address
            for number, port in enumerate(image.ports):
                listener = unix_listener(folder / f"socket{number}")
                undo.callback(Forwarder(listener, tcp_dial(address, port)).close)
            self._cleanup = undo.pop_all()
        self._report_start()
        self._reader = threading.Thread(target=self._read, name="server-container", daemon=True)
        self._reader.start()

    def release(self) -> None:
        """Let it end soon, without waiting for that."""
        with contextlib.suppress(OSError):
            self._container.pipe.close()

    def close(self) -> None:
        """End it, and wait until everything of it is removed."""
        self.release()
        self._cleanup.close()
        self._reader.join()

    def _remove(self) -> None:
        # A later run removes what the engine does not remove now.
        with contextlib.suppress(ContainerError, OSError):
            self._container.remove()

    def _read(self) -> None:
        log = bytearray()
        with contextlib.suppress(OSError):
            while block := self._container.pipe.read():
                log = (log + block)[-_LOG_BYTES:]
        failure = "its container ended"
        with contextlib.suppress(ContainerError):
            state = self._container.state()
            deadline = time.monotonic() + _END_SECONDS
            # The streams of a container end a moment before it does.
            while state.running and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
                state = self._container.state()
            failure += "" if state.code is None else f" with exit code {state.code}"
        with contextlib.suppress(OSError):
            self._log.write_bytes(log + self._container.pipe.errors.encode())
        self._report_failure(failure)
