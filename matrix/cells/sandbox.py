"""Where the processes of a cell run: the seam between a cell and the machine, or a container."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from matrix.cells.client import Endpoint
from matrix.model.reason import Reason

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["App", "AppLog", "CommandOutput", "Sandbox", "SandboxError", "Slot"]


class SandboxError(Exception):
    """The place cannot be had, or was lost: nothing that was seen in it tells of the release."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclasses.dataclass(frozen=True)
class CommandOutput:
    """How a short program ended: exit code, and the start of its output."""

    code: int
    out: str
    err: str = ""


class AppLog(Protocol):
    """What an app printed."""

    @property
    def text(self) -> str:
        """Its head and its tail."""
        ...


class App(Protocol):
    """A process of the app, with all that it starts; to be stopped in any case."""

    exit_code: int | None

    @property
    def log(self) -> AppLog:
        """What it printed so far."""
        ...

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        ...

    def wait_ready(self, timeout: float) -> Endpoint | None:
        """Return the way to the port that it says it listens on, None where it does not in time."""
        ...

    def died(self, within: float = 0.0) -> int | None:
        """Return the exit code if it ends by itself within so many seconds, else None."""
        ...

    def stop(self) -> None:
        """End it and what it started, softly first; `exit_code` is set if it was dead already."""
        ...


class Slot(Protocol):
    """What one process of a cell has for its own: a folder, and ways out of the place."""

    @property
    def place(self) -> Sandbox:
        """Where it is."""
        ...

    @property
    def scratch(self) -> PurePath:
        """Its folder, as seen inside."""
        ...

    def reach_out(self, port: int, wanted: int = 0) -> int:
        """Return the port inside that leads to 127.0.0.1:`port` of this process.

        It is `wanted` where that is given, and where inside is not here.
        """
        ...

    def start(self, command: Sequence[str], environment: Mapping[str, str], *, stop: float) -> App:
        """Start an app in the folder of the apps; `stop` as in `Limits`. Raises OSError."""
        ...

    def close(self) -> None:
        """Close the ways out."""
        ...


class Sandbox(Protocol):
    """A context manager, one for each cell. Paths are as seen inside.

    `isolation` says what keeps the cell from the rest of the world, `image` is the digest of the
    image and `engine` the name of the engine, "" on the machine itself. All methods raise OSError,
    PlaceError where it was lost.
    """

    isolation: str
    image: str
    engine: str

    @property
    def python(self) -> PurePath:
        """The cell's interpreter."""
        ...

    @property
    def apps(self) -> PurePath:
        """The folder of the sample apps."""
        ...

    @property
    def fixtures(self) -> PurePath:
        """The folder of what cells are given."""
        ...

    def ask(self, arguments: Sequence[str], seconds: float) -> CommandOutput:
        """Run the cell's interpreter with `arguments` to its end.

        Raises OSError, TimeoutError after so many seconds.
        """
        ...

    def room(self, name: str) -> Slot:
        """Return a new room; `name` is for people."""
        ...

    def free(self) -> int:
        """Return how many bytes may still be written."""
        ...

    def check(self) -> None:
        """Raise PlaceError where something befell the place, or what ran in it, from outside."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
