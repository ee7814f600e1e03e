"""A container as the place of a cell: one for each, with our relay as its first process.

What it means for a cell that its container is not to be had, or not there any more.

One process of the sample app in a container: as on the machine, by way of the relay.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import TYPE_CHECKING

from matrix.cells.client import Endpoint
from matrix.cells.env_vars import bare_environment
from matrix.cells.job import CellJob, Deadline
from matrix.cells.log import JOIN_SECONDS, BoundedLog
from matrix.cells.process import MARK, note_end, note_start, ready_port
from matrix.cells.relay import RelayClient, RelayLostError
from matrix.cells.sandbox import CommandOutput, SandboxError
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

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["LOST", "ContainedApp", "ContainerSandbox", "loss_of", "refusal_of"]

LOST = (ContainerError, OSError)
"""What an engine may raise when it went away."""

_KILLED = {None, 137, 143}


def refusal_of(engine: ContainerEngine, image: Image, error: ContainerError) -> SandboxError:
    """Return why no container of the image could be started."""
    try:
        held = engine.image(image.id)
    except ContainerError as lost:
        return SandboxError(Reason.ENGINE_LOST, str(lost))
    if isinstance(error, EngineLostError):
        return SandboxError(Reason.ENGINE_LOST, str(error))
    if held is None:
        return SandboxError(Reason.NO_IMAGE, f"{image.name} is not there any more: {error}")
    if held.platform != image.platform:
        return SandboxError(Reason.WRONG_IMAGE, f"it is for {held.platform}, not {image.platform}")
    return SandboxError(Reason.INTERNAL_ERROR, f"the engine refused: {error}")


def loss_of(container: Container, words: str, *, at_start: bool = False) -> SandboxError:
    """Return why the container is not heard any more; `at_start`: it was never heard."""
    try:
        state = container.state()
    except EngineLostError as error:
        return SandboxError(Reason.ENGINE_LOST, str(error))
    except ContainerError as error:
        return SandboxError(Reason.CONTAINER_LOST, f"{words}; {error}")
    if state.oom:
        return SandboxError(Reason.OUT_OF_MEMORY, f"the container was killed: {words}")
    code = "" if state.code is None else f" (exit code {state.code})"
    if at_start and state.code not in _KILLED:
        return SandboxError(Reason.WRONG_IMAGE, f"its interpreter does not run: {words}{code}")
    return SandboxError(Reason.CONTAINER_LOST, f"{words}{code}")


_SIGTERM = 15
# The relay tries for two of its seconds, and they may be long ones where a CPU is emulated.
_CONTAINED_APP_KILL_SECONDS = 30.0


class ContainedApp:
    """A process with its own session in the container; to be stopped in any case."""

    def __init__(
        self,
        relaying: RelayClient,
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
        self.log = BoundedLog()
        marked = {**environment, MARK: secrets.token_hex(16)}
        self._process = relaying.start(command, marked, folder=folder, room=room, log=self.log)

    def wait_ready(self, timeout: float) -> Endpoint | None:
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
        with contextlib.suppress(FutureTimeoutError, RelayLostError):
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
            self._process.kill(_CONTAINED_APP_KILL_SECONDS)
        self.died(_CONTAINED_APP_KILL_SECONDS)
        self.log.wait_end(JOIN_SECONDS)
        self._process.forget()


APPS = PurePosixPath("/cell/apps")
FIXTURES = PurePosixPath("/cell/fixtures")
SCRATCH = PurePosixPath("/tmp")  # noqa: S108 - inside
_ANSWER_BYTES = 1 << 22
_KILL_SECONDS = 30.0


class ContainerSandbox:
    """Runs a cell in a container of its image; where the cell's time is over nothing is waited for.

    Entering it raises PlaceError where there is no such container to be had.
    """

    def __init__(
        self, job: CellJob, image: Image, engine: ContainerEngine, deadline: Deadline
    ) -> None:
        """Use `engine`, and let go of it at the end."""
        self.python = PurePosixPath(image.executable)
        self.apps, self.fixtures = APPS, FIXTURES
        self.environment = dict(image.environment)
        self.image = image.digest
        self.engine = engine.info.name
        self.isolation = _in_words(job.confinement)
        self._spec = _spec(job, image)
        self._image = image
        self._engine = engine
        self._seconds = functools.partial(deadline.left, job.limits.identity)
        self._rooms = 0
        self._inside = contextlib.ExitStack()
        self._container: Container | None = None
        self._relaying: RelayClient | None = None

    @property
    def relaying(self) -> RelayClient:
        """The way in; it is there while the context is open."""
        assert self._relaying is not None  # noqa: S101 - the context is open
        return self._relaying

    def ask(self, arguments: Sequence[str], seconds: float) -> CommandOutput:
        """Run the image's interpreter to its end; its errors are in its output."""
        log = BoundedLog(_ANSWER_BYTES)
        process = self.relaying.start(
            [str(self.python), *arguments],
            {**bare_environment(SCRATCH), **self.environment, MARK: "asked"},
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
            process.forget()
        return CommandOutput(code, log.text)

    def room(self, name: str) -> ContainerSlot:
        """Return a room; its folder is made when its process is started."""
        self._rooms += 1
        return ContainerSlot(self, SCRATCH / f"{name}-{self._rooms}")

    def free(self) -> int:
        """Return how much of its memory-backed folder is free."""
        return self.relaying.measure(str(SCRATCH))[0]

    def check(self) -> None:
        """Raise PlaceError where the container was lost, or its memory did not suffice.

        A process that was ended for want of memory may not be the one that took it, and another may
        be without its help: nothing is told of the release then.
        """
        if self._container is None:
            return
        try:
            kills = self.relaying.measure(str(SCRATCH))[1]
        except RelayLostError as error:
            raise loss_of(self._container, str(error)) from error
        except TimeoutError as error:
            raise SandboxError(Reason.TIMED_OUT, f"the container is stuck: {error}") from error
        try:
            short = kills > 0 or (kills < 0 and self._container.state().oom)
        except ContainerError as error:
            raise loss_of(self._container, str(error)) from error
        if short:
            memory = self._spec.confinement.memory
            raise SandboxError(
                Reason.OUT_OF_MEMORY, f"{memory >> 20} MiB did not suffice: a process was killed"
            )

    def kill(self) -> None:
        """Let go of the container, which ends it; the engine removes it then."""
        if self._container is not None:
            with contextlib.suppress(OSError):
                self._container.pipe.close()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.callback(self._engine.close)
            try:
                container = self._container = self._engine.start(self._spec)
            except ContainerError as error:
                raise refusal_of(self._engine, self._image, error) from error
            note_start(self)
            stack.callback(note_end, self)
            stack.callback(self._remove, container)
            relaying = self._relaying = RelayClient(container.pipe)
            stack.callback(relaying.close)
            try:
                relaying.hello(self._seconds())
            except RelayLostError as error:
                if relaying.talks_nonsense:  # it may not have ended yet, and has no exit code
                    raise SandboxError(Reason.WRONG_IMAGE, str(error)) from error
                raise loss_of(container, str(error), at_start=True) from error
            except TimeoutError as error:
                raise SandboxError(
                    Reason.TIMED_OUT, f"the container did not start: {error}"
                ) from error
            self._inside = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._inside.close()

    def _remove(self, container: Container) -> None:
        # What the engine does not do now is swept by a later run.
        with contextlib.suppress(*LOST):
            container.remove()


class ContainerSlot:
    """A folder in the container, and the ports in it that lead to us."""

    def __init__(self, place: ContainerSandbox, scratch: PurePosixPath) -> None:
        self.place = place
        self.scratch = scratch
        self._ways_out: list[int] = []

    def reach_out(self, port: int, wanted: int = 0) -> int:
        """Return the port inside that leads to 127.0.0.1:`port` of this process."""
        channel, inside = self.place.relaying.reach_out(port, wanted)
        self._ways_out.append(channel)
        return inside

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], *, stop: float
    ) -> ContainedApp:
        """Start an app."""
        return ContainedApp(
            self.place.relaying,
            command,
            {**environment, **self.place.environment},
            folders=(str(APPS), str(self.scratch)),
            stop=stop,
        )

    def close(self) -> None:
        """Close the ways out."""
        for channel in self._ways_out:
            self.place.relaying.forget(channel)


def _spec(job: CellJob, image: Image) -> ContainerSpec:
    mounts = [
        Mount(job.apps, str(APPS), key=_content_key(job.apps)),
        Mount(job.fixtures, str(FIXTURES), key=_content_key(job.fixtures)),
    ]
    if job.tree is not None:
        mounts.append(Mount(job.tree, image.site, key=job.tree_key))
    # Its own library and nothing else: neither the mounted site nor a variable may change it.
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
    """Return a digest over the names and contents of a folder's files, but for byte code."""
    total = hashlib.sha256()
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        total.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix not in {".pyc", ".pyo"}:
            yield path


def _in_words(held: Confinement) -> str:
    network = "the engine's network" if held.network else "no network"
    root = "writable root" if held.writable else "read-only root"
    return (
        f"own container: {network}, {root}, no capabilities, user {held.user},"
        f" at most {held.memory >> 20} MiB, {held.pids} processes, {held.cpus:g} CPUs"
    )
