"""A container as the place of a cell: one for each, with our relay as its first process."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import TYPE_CHECKING

from matrix.cells.clock import Deadline
from matrix.cells.contained_app import ContainedApp
from matrix.cells.environment import bare_environment
from matrix.cells.job import CellJob
from matrix.cells.living import note_end, note_start
from matrix.cells.log import Log
from matrix.cells.losing import LOST, loss_of, refusal_of
from matrix.cells.place import Asked, PlaceError
from matrix.cells.process import MARK
from matrix.cells.relayed import LostError
from matrix.cells.relaying import Relaying
from matrix.containers.seam import (
    Confinement,
    Container,
    ContainerError,
    ContainerSpec,
    Engine,
    Mount,
)
from matrix.model.image import Image
from matrix.model.reason import Reason

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ContainerPlace"]

APPS = PurePosixPath("/cell/apps")
FIXTURES = PurePosixPath("/cell/fixtures")
SCRATCH = PurePosixPath("/tmp")  # noqa: S108 - inside
_ANSWER_BYTES = 1 << 22
_KILL_SECONDS = 30.0


class ContainerPlace:
    """Runs a cell in a container of its image; where the cell's time is over nothing is waited for.

    Entering it raises PlaceError where there is no such container to be had.
    """

    def __init__(self, job: CellJob, image: Image, engine: Engine, deadline: Deadline) -> None:
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
        self._relaying: Relaying | None = None

    @property
    def relaying(self) -> Relaying:
        """The way in; it is there while the context is open."""
        assert self._relaying is not None  # noqa: S101 - the context is open
        return self._relaying

    def ask(self, arguments: Sequence[str], seconds: float) -> Asked:
        """Run the image's interpreter to its end; its errors are in its output."""
        log = Log(_ANSWER_BYTES)
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
        return Asked(code, log.text)

    def room(self, name: str) -> ContainerRoom:
        """Return a room; its folder is made when its process is started."""
        self._rooms += 1
        return ContainerRoom(self, SCRATCH / f"{name}-{self._rooms}")

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
        except LostError as error:
            raise loss_of(self._container, str(error)) from error
        except TimeoutError as error:
            raise PlaceError(Reason.TIMED_OUT, f"the container is stuck: {error}") from error
        try:
            short = kills > 0 or (kills < 0 and self._container.state().oom)
        except ContainerError as error:
            raise loss_of(self._container, str(error)) from error
        if short:
            memory = self._spec.confinement.memory
            raise PlaceError(
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
            relaying = self._relaying = Relaying(container.pipe)
            stack.callback(relaying.close)
            try:
                relaying.hello(self._seconds())
            except LostError as error:
                if relaying.talks_nonsense:  # it may not have ended yet, and has no exit code
                    raise PlaceError(Reason.WRONG_IMAGE, str(error)) from error
                raise loss_of(container, str(error), at_start=True) from error
            except TimeoutError as error:
                raise PlaceError(
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


class ContainerRoom:
    """A folder in the container, and the ports in it that lead to us."""

    def __init__(self, place: ContainerPlace, scratch: PurePosixPath) -> None:
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
