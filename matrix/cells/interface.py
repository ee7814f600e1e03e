"""Interfaces of what a cell runs in; this machine and containers implement them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Protocol

from matrix.cells.client import Endpoint
from matrix.cells.log import BoundedLog
from matrix.model.reason import Reason

if TYPE_CHECKING:
    from typing_extensions import Self


class SandboxError(Exception):
    """The sandbox cannot be started, or was lost: what was observed in it does not count."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclasses.dataclass(frozen=True)
class CommandOutput:
    """The exit code of a short program, the start of its output, and its CPU time if known."""

    code: int
    out: str
    err: str = ""
    cpu_seconds: float | None = None


class App(Protocol):
    """A process of the app and everything that it starts; must be stopped in any case."""

    exit_code: int | None

    @property
    def log(self) -> BoundedLog:
        """The output so far."""
        ...

    @property
    def alive(self) -> bool:
        """True while it runs."""
        ...

    @property
    def cpu_seconds(self) -> float | None:
        """The CPU time that it took, None while it runs and where the system does not tell."""
        ...

    def wait_ready(self, timeout: float) -> Endpoint | None:
        """Return the port that it reports to listen on, None if it does not in time."""
        ...

    def wait_exit(self, timeout: float = 0.0) -> int | None:
        """Return the exit code if it ends by itself within so many seconds, else None."""
        ...

    def stop(self) -> None:
        """End it and what it started, gracefully first; set `exit_code` if it had ended already."""
        ...


class Slot(Protocol):
    """A folder, as seen inside, for one process, and its ports that lead out of the sandbox."""

    scratch: PurePath

    @property
    def sandbox(self) -> Sandbox:
        """The sandbox that it belongs to."""
        ...

    def forward_port(self, port: int, requested: int = 0) -> int:
        """Return the port inside that leads to 127.0.0.1:`port` of this process.

        In a container it is `requested` unless that is 0; on the machine itself it is `port`.
        """
        ...

    def agent_variables(self, port: int) -> dict[str, str]:
        """Return the variables that tell a tracer how to reach the agent.

        `port` is the agent's on 127.0.0.1 of this process, which is made reachable from inside as
        an agent is in the sandbox's place; not so in a slot `outside` of it.
        """
        ...

    def start(self, command: Sequence[str], environment: Mapping[str, str], *, stop: float) -> App:
        """Start an app in the folder of the apps; `stop` as in `Limits`. Raises OSError."""
        ...

    def close(self) -> None:
        """Close the forwarded ports."""
        ...


class Sandbox(Protocol):
    """A context manager, one for each cell. Paths are as seen inside.

    `python` is the cell's interpreter, `apps` and `fixtures` are the folders of the sample apps and
    of the fixtures for cells. `isolation` says what keeps the cell from the rest of the world,
    `isolated` whether anything keeps it from the network, `not_isolated` which of the `PARTS` of
    the machine it is not kept from; `image` is the digest of the image and `engine` the name of the
    engine, "" on the machine itself. Where it `injects_tracer`, the agent's variables start the
    tracer, and not the command. All methods raise OSError, and SandboxError if the sandbox was
    lost.
    """

    python: PurePath
    apps: PurePath
    fixtures: PurePath
    isolation: str
    isolated: bool
    not_isolated: tuple[str, ...]
    image: str
    engine: str
    injects_tracer: bool

    def run(self, arguments: Sequence[str], seconds: float) -> CommandOutput:
        """Run the cell's interpreter with `arguments` to its end.

        Raises OSError, TimeoutError after so many seconds.
        """
        ...

    def new_slot(self, name: str, *, outside: bool = False) -> Slot:
        """Return a new slot; `name` is for people.

        In one `outside`, that which makes the place of the cell is taken away.
        """
        ...

    def free_bytes(self) -> int:
        """Return how many bytes may still be written."""
        ...

    def check(self) -> None:
        """Raise SandboxError if the sandbox, or a process in it, was ended from outside."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
