"""A sandbox in a container, one for each cell, with our relay as its first process."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING

from matrix.cells.client import Endpoint
from matrix.cells.env_vars import MARK, agent_variables, interpreter_environment
from matrix.cells.interface import CommandOutput
from matrix.cells.job import CellJob, Deadline
from matrix.cells.log import JOIN_SECONDS, BoundedLog
from matrix.cells.relay import RelayClient, RelayedApp, RelayLostError
from matrix.cells.relayed_container import RelayedContainer, plain_command
from matrix.docker.interface import Confinement, ContainerEngine, ContainerSpec, Mount
from matrix.model.environment import Image

if TYPE_CHECKING:
    from typing_extensions import Self


# Paths inside.
APPS = PurePosixPath("/cell/apps")
FIXTURES = PurePosixPath("/cell/fixtures")
SCRATCH = PurePosixPath("/tmp")  # noqa: S108 - inside

_OUTPUT_BYTES = 1 << 22
# The relay takes up to two of its own seconds, which are long ones on an emulated CPU.
_KILL_SECONDS = 30.0
_SIGTERM = 15


class ContainerSandbox:
    """Runs a cell in a container of its image; no wait outlasts the cell's deadline.

    Entering it raises SandboxError if the container cannot be started.
    """

    def __init__(
        self, job: CellJob, image: Image, engine: ContainerEngine, deadline: Deadline
    ) -> None:
        """Use `engine`, and close it at the end."""
        self.python: PurePath = PurePosixPath(image.executable)
        self.apps: PurePath = APPS
        self.fixtures: PurePath = FIXTURES
        self.scratch = SCRATCH
        self.environment = dict(image.environment)
        self.image = image.digest
        self.engine = engine.info.name
        network = "the engine's network" if job.confinement.network else "no network"
        self.isolation = f"own container: {network}, {describe_limits(job.confinement)}"
        self.isolated = True
        self.not_isolated: tuple[str, ...] = ()
        self.injects_tracer = False
        self._job = job
        self._image = image
        self._engine = engine
        self._seconds = functools.partial(deadline.remaining, job.limits.identity)
        self._slots = 0
        self._stack = contextlib.ExitStack()
        self._container: RelayedContainer | None = None

    @property
    def relay(self) -> RelayClient:
        """The relay in the container; it exists while the context is open."""
        assert self._container is not None  # noqa: S101 - the context is open
        return self._container.relay

    def run(self, arguments: Sequence[str], seconds: float) -> CommandOutput:
        """Run the image's interpreter to its end; its errors are in its output."""
        log = BoundedLog(_OUTPUT_BYTES)
        process = self.relay.start(
            [str(self.python), *arguments],
            {
                **interpreter_environment(self.scratch),
                **self.environment,
                MARK: secrets.token_hex(16),
            },
            folder=str(self.scratch),
            log=log,
        )
        try:
            code = process.ended.result(seconds)
            log.wait_end(seconds)
        except FutureTimeoutError as error:  # another class than the built-in one before 3.11
            raise TimeoutError(f"no answer within {seconds:g} s") from error
        finally:
            with contextlib.suppress(OSError):
                process.kill(_KILL_SECONDS)
            process.release()
        return CommandOutput(code, log.text, cpu_seconds=process.cpu_seconds)

    def new_slot(self, name: str, *, outside: bool = False) -> ContainerSlot:  # noqa: ARG002 - no place
        """Return a new slot; its folder is made when its process is started."""
        return ContainerSlot(self, self.new_folder(name))

    def new_folder(self, name: str) -> PurePosixPath:
        """Return the name of a new folder for a process."""
        self._slots += 1
        return self.scratch / f"{name}-{self._slots}"

    def free_bytes(self) -> int:
        """Return how many bytes of its memory-backed folder are free."""
        return self.relay.measure(str(self.scratch))[0]

    def check(self) -> None:
        """Raise SandboxError if the container was lost, or ran out of memory."""
        if self._container is not None:
            self._container.check()

    def start_containers(self, stack: contextlib.ExitStack) -> RelayedContainer:
        """Start what the app needs, and return its container; `stack` ends all of it."""
        spec = container_spec(self._job, self._image)
        return stack.enter_context(self.new_container(spec, "the container"))

    def new_container(self, spec: ContainerSpec, title: str) -> RelayedContainer:
        """Return a container of the cell's image, not yet started."""
        return RelayedContainer(self._engine, self._image, spec, self._seconds, title)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.callback(self._engine.close)
            self._container = self.start_containers(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


class ContainerSlot:
    """A folder in the container, and the ports inside that are forwarded to us."""

    def __init__(self, sandbox: ContainerSandbox, scratch: PurePosixPath) -> None:
        self.sandbox = sandbox
        self.scratch: PurePath = scratch
        self._channels: list[int] = []

    @property
    def relay(self) -> RelayClient:
        """The relay that starts the process."""
        return self.sandbox.relay

    def forward_port(self, port: int, requested: int = 0) -> int:
        """Return the port inside that leads to 127.0.0.1:`port` of this process."""
        channel, inside = self.relay.forward_port(port, requested)
        self._channels.append(channel)
        return inside

    def agent_variables(self, port: int) -> dict[str, str]:
        """Return the variables that tell a tracer how to reach the agent at `port`."""
        return agent_variables("127.0.0.1", self.forward_port(port))

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], *, stop: float
    ) -> ContainedApp:
        """Start an app; raises OSError if it cannot be started."""
        relay = self.relay
        mark = {MARK: secrets.token_hex(16)}
        process = relay.start(
            command,
            {**self.sandbox.environment, **environment, **mark},
            folder=str(self.sandbox.apps),
            new_folder=str(self.scratch),
            log=BoundedLog(),
        )
        return ContainedApp(relay, process, stop)

    def close(self) -> None:
        """Close the forwarded ports."""
        for channel in self._channels:
            self.relay.release(channel)


class ContainedApp:
    """A process with its own session in the container; must be stopped in any case."""

    def __init__(self, relay: RelayClient, process: RelayedApp, stop: float) -> None:
        self._relay = relay
        self._process = process
        self._stop_seconds = stop
        self.log = process.log
        self.exit_code: int | None = None

    @property
    def cpu_seconds(self) -> float | None:
        """The CPU time that it took, None while it runs."""
        return self._process.cpu_seconds

    def wait_ready(self, timeout: float) -> Endpoint | None:
        """Return the app's endpoint, None if it does not report in time that it listens."""
        port = self.log.wait_port(timeout)
        return None if port is None else self._relay.endpoint(port)

    @property
    def alive(self) -> bool:
        """False once its end is known."""
        return not self._process.ended.done()

    def wait_exit(self, timeout: float = 0.0) -> int | None:
        """Return the exit code if it ends by itself within so many seconds, else None.

        Also None if the relay was lost, which `ContainerSandbox.check` reports.
        """
        with contextlib.suppress(FutureTimeoutError, RelayLostError):
            return self._process.ended.result(timeout)
        return None

    def stop(self) -> None:
        """Send SIGTERM to the group, SIGKILL later; set `exit_code` if it had ended already.

        Processes that left the group are found by a mark in their environment.
        """
        self.exit_code = self.wait_exit()
        self._process.close_input()
        if self.exit_code is None:
            self._process.signal(_SIGTERM)
            self.wait_exit(self._stop_seconds)
        with contextlib.suppress(OSError):
            self._process.kill(_KILL_SECONDS)
        self.wait_exit(_KILL_SECONDS)
        self.log.wait_end(JOIN_SECONDS)
        self._process.release()


def container_spec(job: CellJob, image: Image) -> ContainerSpec:
    """Return the specification of an ordinary container of a cell."""
    mounts = [
        Mount(job.apps, str(APPS), key=content_key(job.apps)),
        Mount(job.fixtures, str(FIXTURES), key=content_key(job.fixtures)),
    ]
    if job.tree is not None:
        mounts.append(Mount(job.tree, image.site, key=job.tree_key))
    return ContainerSpec(
        image=image.id,
        platform=image.platform,
        argv=plain_command(image, FIXTURES / "relay.py"),
        environment={"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", **dict(image.environment)},
        mounts=tuple(mounts),
        confinement=job.confinement,
    )


def content_key(folder: Path) -> str:
    """Return a digest over the names and contents of a folder's files, without byte code."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix not in {".pyc", ".pyo"}:
            name = path.relative_to(folder).as_posix()
            total.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def describe_limits(confinement: Confinement) -> str:
    """Return what keeps a container from its machine, but for its network."""
    root = "writable root" if confinement.writable else "read-only root"
    return (
        f"{root}, no capabilities, user {confinement.user},"
        f" at most {confinement.memory >> 20} MiB, {confinement.pids} processes,"
        f" {confinement.cpus:g} CPUs"
    )
