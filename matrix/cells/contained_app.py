"""One process of the sample app in a container: as on the machine, by way of the relay."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError

from matrix.cells.door import Door
from matrix.cells.log import JOIN_SECONDS, Log
from matrix.cells.process import MARK, ready_port
from matrix.cells.relayed import LostError
from matrix.cells.relaying import Relaying

__all__ = ["ContainedApp"]

_SIGTERM = 15
# The relay tries for two of its seconds, and they may be long ones where a CPU is emulated.
_KILL_SECONDS = 30.0


class ContainedApp:
    """A process with its own session in the container; to be stopped in any case."""

    def __init__(
        self,
        relaying: Relaying,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        folders: tuple[str, str],
        stop: float,
    ) -> None:
        """Start `command`; `folders` are where it starts and the one that is made for it.

        Raises OSError where there is nothing to start.
        """
        folder, room = folders
        self._relaying = relaying
        self._stop_seconds = stop
        self.exit_code: int | None = None
        self.log = Log()
        marked = {**environment, MARK: secrets.token_hex(16)}
        self._process = relaying.start(command, marked, folder=folder, room=room, log=self.log)

    def wait_ready(self, timeout: float) -> Door | None:
        """Return the way to the app, None where it does not say in time that it listens."""
        port = ready_port(self.log, timeout)
        return None if port is None else self._relaying.door(port)

    @property
    def alive(self) -> bool:
        """Whether it still runs, as far as is known."""
        return not self._process.ended.done()

    def died(self, within: float = 0.0) -> int | None:
        """Return the exit code if it ends by itself within so many seconds, else None.

        Where the relay was lost nobody knows, and the place will say so.
        """
        with contextlib.suppress(FutureTimeoutError, LostError):
            return self._process.ended.result(within)
        return None

    def stop(self) -> None:
        """End it: SIGTERM to the group, SIGKILL later; `exit_code` is set if it was dead already.

        What left the group is found by a mark in its environment.
        """
        self.exit_code = self.died()
        self._process.close_input()
        if self.exit_code is None:
            self._process.signal(_SIGTERM)
            self.died(self._stop_seconds)
        with contextlib.suppress(OSError):
            self._process.kill(_KILL_SECONDS)
        self.died(_KILL_SECONDS)
        self.log.wait_end(JOIN_SECONDS)
        self._process.forget()
