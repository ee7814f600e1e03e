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
from matrix.cells.interface import CommandOutput, SandboxError
from matrix.cells.job import CellJob, Deadline
from matrix.cells.log import JOIN_SECONDS, BoundedLog
from matrix.cells.relay import RelayClient, RelayedApp, RelayLostError
from matrix.docker.interface import (
    Confinement,
    Container,
    ContainerEngine,
    ContainerError,
    ContainerSpec,
    EngineLostError,
    Mount,
)
from matrix.model.environment import Image
from matrix.model.reason import Reason
from matrix.system.processes import CHILDREN

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
# Exit codes of a container that was killed, or that has none.
_KILLED = {None, 137, 143}


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
        self.environment = dict(image.environment)
        self.image = image.digest
        self.engine = engine.info.name
        self.isolation, self.isolated = _describe_isolation(job.confinement), True
        self.not_isolated: tuple[str, ...] = ()
        self._spec = _container_spec(job, image)
        self._image = image
        self._engine = engine
        self._seconds = functools.partial(deadline.remaining, job.limits.identity)
        self._slots = 0
        self._stack = contextlib.ExitStack()
        self._container: Container | None = None
        self._relay: RelayClient | None = None

    @property
    def relay(self) -> RelayClient:
        """The relay in the container; it exists while the context is open."""
        assert self._relay is not None  # noqa: S101 - the context is open
        return self._relay

    def run(self, arguments: Sequence[str], seconds: float) -> CommandOutput:
        """Run the image's interpreter to its end; its errors are in its output."""
        log = BoundedLog(_OUTPUT_BYTES)
        process = self.relay.start(
            [str(self.python), *arguments],
            {**interpreter_environment(SCRATCH), **self.environment, MARK: "asked"},
            folder=str(SCRATCH),
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
        return CommandOutput(code, log.text)

    def new_slot(self, name: str, *, outside: bool = False) -> ContainerSlot:  # noqa: ARG002 - no place
        """Return a new slot; its folder is made when its process is started."""
        self._slots += 1
        return ContainerSlot(self, SCRATCH / f"{name}-{self._slots}")

    def free_bytes(self) -> int:
        """Return how many bytes of its memory-backed folder are free."""
        return self.relay.measure(str(SCRATCH))[0]

    def check(self) -> None:
        """Raise SandboxError if the container was lost, or ran out of memory.

        The process that the system killed may not be the one that took the memory, and others may
        depend on it, so that no result of the cell counts then.
        """
        if self._container is None:
            return
        try:
            kills = self.relay.measure(str(SCRATCH))[1]
        except RelayLostError as error:
            raise _lost_error(self._container, str(error)) from error
        except TimeoutError as error:
            raise SandboxError(
                Reason.TIMED_OUT, f"the container does not respond: {error}"
            ) from error
        try:
            out_of_memory = kills > 0 or (kills < 0 and self._container.state().oom)
        except ContainerError as error:
            raise _lost_error(self._container, str(error)) from error
        if out_of_memory:
            memory = self._spec.confinement.memory
            raise SandboxError(
                Reason.OUT_OF_MEMORY,
                f"a process was killed: {memory >> 20} MiB of memory were not enough",
            )

    def kill(self) -> None:
        """Close the container's input, which ends it; the engine removes it then."""
        if self._container is not None:
            with contextlib.suppress(OSError):
                self._container.pipe.close()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.callback(self._engine.close)
            try:
                container = self._container = self._engine.start(self._spec)
            except ContainerError as error:
                raise _start_error(self._engine, self._image, error) from error
            CHILDREN.add(self, self.kill)
            stack.callback(CHILDREN.remove, self)
            stack.callback(_remove, container)
            relay = self._relay = RelayClient(container.pipe)
            stack.callback(relay.close)
            try:
                relay.wait_hello(self._seconds())
            except RelayLostError as error:
                if relay.protocol_broken:  # it may still run, and have no exit code yet
                    raise SandboxError(Reason.WRONG_IMAGE, str(error)) from error
                raise _lost_error(container, str(error), at_start=True) from error
            except TimeoutError as error:
                raise SandboxError(
                    Reason.TIMED_OUT, f"the container did not start: {error}"
                ) from error
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

    def forward_port(self, port: int, requested: int = 0) -> int:
        """Return the port inside that leads to 127.0.0.1:`port` of this process."""
        channel, inside = self.sandbox.relay.forward_port(port, requested)
        self._channels.append(channel)
        return inside

    def agent_variables(self, port: int) -> dict[str, str]:
        """Return the variables that tell a tracer how to reach the agent at `port`."""
        return agent_variables("127.0.0.1", self.forward_port(port))

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], *, stop: float
    ) -> ContainedApp:
        """Start an app; raises OSError if it cannot be started."""
        relay = self.sandbox.relay
        mark = {MARK: secrets.token_hex(16)}
        process = relay.start(
            command,
            {**environment, **self.sandbox.environment, **mark},
            folder=str(APPS),
            new_folder=str(self.scratch),
            log=BoundedLog(),
        )
        return ContainedApp(relay, process, stop)

    def close(self) -> None:
        """Close the forwarded ports."""
        for channel in self._channels:
            self.sandbox.relay.release(channel)


class ContainedApp:
    """A process with its own session in the container; must be stopped in any case."""

    def __init__(self, relay: RelayClient, process: RelayedApp, stop: float) -> None:
        self._relay = relay
        self._process = process
        self._stop_seconds = stop
        self.log = process.log
        self.exit_code: int | None = None

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


def _start_error(engine: ContainerEngine, image: Image, error: ContainerError) -> SandboxError:
    """Return the reason why no container of the image could be started."""
    try:
        info = engine.image(image.id)
    except ContainerError as lost:
        return SandboxError(Reason.ENGINE_LOST, str(lost))
    if isinstance(error, EngineLostError):
        return SandboxError(Reason.ENGINE_LOST, str(error))
    if info is None:
        return SandboxError(
            Reason.NO_IMAGE, f"the engine no longer has the image {image.name}: {error}"
        )
    if info.platform != image.platform:
        return SandboxError(
            Reason.WRONG_IMAGE,
            f"the image {image.name} is for {info.platform}, not {image.platform}",
        )
    return SandboxError(Reason.INTERNAL_ERROR, f"the engine refused to start a container: {error}")


def _lost_error(container: Container, message: str, *, at_start: bool = False) -> SandboxError:
    """Return the reason why the container was lost; `at_start`: its relay never answered."""
    try:
        state = container.state()
    except EngineLostError as error:
        return SandboxError(Reason.ENGINE_LOST, str(error))
    except ContainerError as error:
        return SandboxError(Reason.CONTAINER_LOST, f"{message}; {error}")
    if state.oom:
        return SandboxError(
            Reason.OUT_OF_MEMORY, f"the container was killed for lack of memory: {message}"
        )
    code = "" if state.code is None else f" (exit code {state.code})"
    if at_start and state.code not in _KILLED:
        return SandboxError(
            Reason.WRONG_IMAGE, f"cannot run the image's interpreter: {message}{code}"
        )
    return SandboxError(Reason.CONTAINER_LOST, f"{message}{code}")


def _remove(container: Container) -> None:
    # A container that the engine does not remove now is removed by a later run.
    with contextlib.suppress(ContainerError, OSError):
        container.remove()


def _container_spec(job: CellJob, image: Image) -> ContainerSpec:
    mounts = [
        Mount(job.apps, str(APPS), key=_content_key(job.apps)),
        Mount(job.fixtures, str(FIXTURES), key=_content_key(job.fixtures)),
    ]
    if job.tree is not None:
        mounts.append(Mount(job.tree, image.site, key=job.tree_key))
    # With the standard library only: neither the mounted site nor a variable may change it.
    relay = (image.executable, "-S", "-E", "-s", "-B", "-u", str(FIXTURES / "relay.py"))
    return ContainerSpec(
        image=image.id,
        platform=image.platform,
        argv=(*image.launch, *relay),
        environment={"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", **dict(image.environment)},
        mounts=tuple(mounts),
        confinement=job.confinement,
    )


def _content_key(folder: Path) -> str:
    """Return a digest over the names and contents of a folder's files, without byte code."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix not in {".pyc", ".pyo"}:
            name = path.relative_to(folder).as_posix()
            total.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def _describe_isolation(confinement: Confinement) -> str:
    network = "the engine's network" if confinement.network else "no network"
    root = "writable root" if confinement.writable else "read-only root"
    return (
        f"own container: {network}, {root}, no capabilities, user {confinement.user},"
        f" at most {confinement.memory >> 20} MiB, {confinement.pids} processes,"
        f" {confinement.cpus:g} CPUs"
    )
