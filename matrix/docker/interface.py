"""What the rest of the house may ask of a container engine; tests put a fake here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "Confinement",
    "Container",
    "ContainerEngine",
    "ContainerError",
    "ContainerResult",
    "ContainerSpec",
    "ContainerState",
    "EngineInfo",
    "EngineLostError",
    "ImageInfo",
    "Mount",
    "Pipe",
]


class ContainerError(Exception):
    """The engine refused or failed; the message has its words."""


class EngineLostError(ContainerError):
    """The engine does not answer any more."""


@dataclasses.dataclass(frozen=True)
class EngineInfo:
    """`name` such as `Docker 20.10.24`; `platform` is what it runs natively (`linux/amd64`).

    `platforms` are all that it can run, emulated ones included, native ones first. `shares_files`
    is set where it can mount folders of this machine. `memory` is in bytes.
    """

    name: str
    platform: str
    platforms: tuple[str, ...]
    shares_files: bool
    cpus: int
    memory: int


@dataclasses.dataclass(frozen=True)
class ImageInfo:
    """An image that the engine holds; `platform` as its configuration says; `size` in bytes."""

    id: str
    tags: tuple[str, ...]
    platform: str
    labels: Mapping[str, str]
    size: int


@dataclasses.dataclass(frozen=True)
class Mount:
    """A folder of this machine, seen at `target` inside. `key` names its content, "" where it may
    change: an engine that cannot mount our folders keeps a copy by that name.
    """

    source: Path
    target: str
    writable: bool = False
    key: str = ""


@dataclasses.dataclass(frozen=True)
class Confinement:
    """How a container is held; the defaults are those of a cell. Sizes in bytes.

    No network, no capability, no new privileges, a read-only root file system and `tmp_bytes` of
    memory at /tmp are not for choice, but for `network` and `writable`, which building needs, and
    for `private`: a network of its own that leads to this machine and no further, for servers.
    """

    user: str = "1000:1000"
    memory: int = 2 * 1024**3
    pids: int = 256
    cpus: float = 2.0
    tmp_bytes: int = 256 * 1024**2
    network: bool = False
    writable: bool = False
    private: bool = False


@dataclasses.dataclass(frozen=True)
class ContainerSpec:
    """`argv` is the container's first process; the container is gone when that one has ended."""

    image: str
    platform: str
    argv: Sequence[str]
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    folder: str = "/tmp"  # noqa: S108 - inside
    confinement: Confinement = Confinement()


@dataclasses.dataclass(frozen=True)
class ContainerState:
    """`code` is of the first process, None while it runs. `oom` where the memory limit killed: that
    one, or, while it runs, a process below it.
    """

    running: bool
    code: int | None
    oom: bool


@dataclasses.dataclass(frozen=True)
class ContainerResult:
    """What a container that ran to its end left: exit code and output, `timed_out` where killed.

    `oom` is set where the memory limit killed a process in it, not always the first one.
    """

    code: int
    out: bytes
    err: bytes
    timed_out: bool = False
    oom: bool = False


class Pipe(Protocol):
    """Standard input and output of a container's first process; safe for one reader and one writer
    in threads of their own.
    """

    def write(self, data: bytes) -> None:
        """Send all of `data`; raise OSError where nobody is there any more."""
        ...

    def read(self) -> bytes:
        """Return what came on standard output next, b"" at the end; raise OSError likewise.

        What comes on standard error is kept in `errors`, up to some kilobytes.
        """
        ...

    @property
    def errors(self) -> str:
        """What came on standard error so far."""
        ...

    def close(self) -> None:
        """Let go: the process's standard input ends. Wakes the reader."""
        ...


class Container(Protocol):
    """A started container; a context manager that removes it."""

    @property
    def id(self) -> str:
        """What the engine calls it."""
        ...

    @property
    def pipe(self) -> Pipe:
        """Its first process's standard streams."""
        ...

    @property
    def address(self) -> str:
        """Where this machine reaches it by its private network; raises ContainerError."""
        ...

    def state(self) -> ContainerState:
        """Return how it is; one that is gone does not run and has no code."""
        ...

    def remove(self) -> None:
        """Kill and remove it; no complaint where it is gone."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class ContainerEngine(Protocol):
    """A container engine. Every object it makes is labelled with the project and the run.

    All methods raise ContainerError, EngineLostError where it went away.
    """

    @property
    def info(self) -> EngineInfo:
        """What it is."""
        ...

    def image(self, reference: str) -> ImageInfo | None:
        """Return an image by id, tag or digest, None where it is not there."""
        ...

    def images(self) -> tuple[ImageInfo, ...]:
        """Return the images that this project has made."""
        ...

    def load(self, archive: IO[bytes]) -> str:
        """Load an archive as `docker save` writes it, of one image; return the image's id."""
        ...

    def pull(self, reference: str, platform: str, seconds: float) -> str:
        """Pull `name@sha256:...` for a platform; return the image's id."""
        ...

    def discard(self, image: str) -> None:
        """Remove an image that this project made; no complaint where it is gone or in use."""
        ...

    def start(self, spec: ContainerSpec) -> Container:
        """Create and start a container, attached to its standard input and output."""
        ...

    def run(self, spec: ContainerSpec, seconds: float, given: bytes = b"") -> ContainerResult:
        """Run a container to its end, or kill it after so many seconds; it is gone afterwards.

        One that writes more than some megabytes is killed, and ContainerError raised.
        """
        ...

    def sweep(self) -> int:
        """Remove what dead runs of this machine left, containers above all; return how many."""
        ...

    def close(self) -> None:
        """Let go of the engine; containers that run go on, but for those whose pipe was ours."""
        ...
