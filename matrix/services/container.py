"""A server in a container: in a network of its own that leads to this machine and no further.

Its first process ends when we let go of its standard input, or are killed, and the container with
it. Its network is swept by a later run then.
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
from matrix.services.forwarding import Forwarder, tcp_dial, unix_listener
from matrix.services.server import relevant_line

__all__ = ["FIRST", "ContainedServer", "ServerContainer"]

# The end of the input ends the server, by the signal that it knows: as the first process of its
# namespace it is deaf to all that it does not handle.
FIRST = (
    "sh",
    "-c",
    'exec 3<&0; (cat <&3; kill $$) >/dev/null 2>&1 & exec "$@" </dev/null 3<&-',
    "sh",
)
"""What every container begins with; images of servers have a shell."""
_LOG_BYTES = 200_000
_POLL_SECONDS = 0.02
_END_SECONDS = 5.0
_MEMORY = 2 * 1024**3
_PIDS = 1024


@dataclasses.dataclass(frozen=True)
class ServerContainer:
    """What is run: an image's id and platform, and its server's ports, user and environment."""

    engine: ContainerEngine
    image: str
    platform: str
    ports: tuple[int, ...]
    user: str
    environment: Mapping[str, str]

    def start(self, command: list[str]) -> Container:
        """Start it; raise ContainerError."""
        return self.engine.start(
            ContainerSpec(
                self.image,
                self.platform,
                [*FIRST, *command],
                environment={"HOME": "/tmp", **self.environment},  # noqa: S108 - inside
                confinement=Confinement(
                    user=self.user, memory=_MEMORY, pids=_PIDS, writable=True, private=True
                ),
            )
        )


class ContainedServer:
    """A container and the doors that lead to its ports, from when it is made until `close`."""

    network = "a network of its container's own"

    def __init__(
        self, inside: ServerContainer, command: list[str], folder: Path, lock: int
    ) -> None:
        """Start it; `lock` is a descriptor that is held as long as it lives.

        Raises ContainerError, OSError.
        """
        self._folder = folder
        self._ended = threading.Event()
        self._failed: str | None = None
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, os.dup(lock))
            undo.callback(shutil.rmtree, folder, ignore_errors=True)
            self._container = inside.start(command)
            undo.callback(self._remove)
            address = self._container.address
            for number, port in enumerate(inside.ports):
                door = unix_listener(folder / f"door{number}")
                undo.callback(Forwarder(door, tcp_dial(address, port)).close)
            self._close = undo.pop_all()
        self._reader = threading.Thread(target=self._read, name="contained", daemon=True)
        self._reader.start()

    @property
    def failed(self) -> str | None:
        """Why the server is not any more; None while all is well."""
        return self._failed

    def wait_started(self, seconds: float) -> bool:  # noqa: ARG002 - it is started when it is made
        """Return whether it was started; not yet whether it answers."""
        return self._failed is None

    def wait_failed(self, seconds: float) -> str | None:
        """Return why the server is not any more, None where it is not told in time."""
        self._ended.wait(seconds)
        return self._failed

    def let_go(self) -> None:
        """Let it end, some time soon."""
        with contextlib.suppress(OSError):
            self._container.pipe.close()

    def close(self) -> None:
        """End it, and wait until all of it is gone."""
        self.let_go()
        self._close.close()
        self._reader.join()

    def _remove(self) -> None:
        # What the engine does not do now is swept by a later run.
        with contextlib.suppress(ContainerError, OSError):
            self._container.remove()

    def _read(self) -> None:
        log = bytearray()
        with contextlib.suppress(OSError):
            while block := self._container.pipe.read():
                log = (log + block)[-_LOG_BYTES:]
        how = "its container ended"
        with contextlib.suppress(ContainerError):
            state = self._container.state()
            until = time.monotonic() + _END_SECONDS
            # Its streams end a moment before it does.
            while state.running and time.monotonic() < until:
                time.sleep(_POLL_SECONDS)
                state = self._container.state()
            how += "" if state.code is None else f" with exit code {state.code}"
        with contextlib.suppress(OSError):
            (self._folder / "log").write_bytes(log + self._container.pipe.errors.encode())
        line = relevant_line(self._folder / "log")
        self._failed = f"{how}: {line}" if line else how
        self._ended.set()
