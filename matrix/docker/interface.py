"""Interfaces of a container engine and its containers, with their data and errors."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Protocol


class ContainerError(Exception):
    """The engine refused or failed; the message contains the engine's own."""


class EngineLostError(ContainerError):
    """The engine does not answer any more."""


@dataclasses.dataclass(frozen=True)
class EngineAddress:
    """An engine's URL, where it was configured, and the folder of certificates for TLS."""

    url: str
    origin: str
    certificates: Path | None = None
    verify: bool = True


@dataclasses.dataclass(frozen=True)
class EngineInfo:
    """`name` such as `Docker 20.10.24`; `platform` is the native one (`linux/amd64`).

    `platforms` are all that the engine can run, emulated ones included, native ones first.
    `shares_files` is set where it can mount folders of this machine. `memory` is in bytes.
    """

    name: str
    platform: str
    platforms: tuple[str, ...]
    shares_files: bool
    cpus: int
    memory: int


@dataclasses.dataclass(frozen=True)
class ImageInfo:
    """An image in the engine; `platform` is that of its configuration, `size` is in bytes."""

    id: str
    tags: tuple[str, ...]
    platform: str
    labels: Mapping[str, str]
    size: int


@dataclasses.dataclass(frozen=True)
class Mount:
    """A folder of this machine, mounted at `target` in a container.

    `key` identifies its content, "" where that may change: an engine that cannot mount our folders
    stores a copy under that key.
    """

    source: Path
    target: str
    writable: bool = False
    key: str = ""


@dataclasses.dataclass(frozen=True)
class VolumeMount:
    """A volume of the engine, from `volume`, mounted at `target` in a container."""

    name: str
    target: str
    writable: bool = False


@dataclasses.dataclass(frozen=True)
class Confinement:
    """Restrictions of a container; the defaults are those of a cell. Sizes are in bytes.

    Every container has no new privileges and `tmp_bytes` of memory at /tmp, and by default no
    capabilities, no network and a read-only root file system. `network` and `writable` are for
    builds; `private` is a network of its own that leads to this machine only, for servers;
    `capabilities` are for what makes a network, never for what is under test.
    """

    user: str = "1000:1000"
    memory: int = 2 * 1024**3
    pids: int = 256
    cpus: float = 2.0
    tmp_bytes: int = 256 * 1024**2
    network: bool = False
    writable: bool = False
    private: bool = False
    capabilities: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class ContainerSpec:
    """`argv` is the container's first process; the container is removed when that one ends.

    `network_of` is the id of a container whose network it shares, `bridge` one of the engine's
    bridges, to which it is connected, `cgroup_parent` the control group that its own lies in; ""
    for none. `hidden` are folders in whose place it sees empty ones.
    """

    image: str
    platform: str
    argv: Sequence[str]
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    folder: str = "/tmp"  # noqa: S108 - in the container
    confinement: Confinement = Confinement()
    network_of: str = ""
    bridge: str = ""
    cgroup_parent: str = ""
    volumes: tuple[VolumeMount, ...] = ()
    hidden: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class ContainerState:
    """`code` is the first process's exit code, None while it runs.

    `oom` is set where the memory limit killed that process, or, while it runs, one of its children.
    """

    running: bool
    code: int | None
    oom: bool


@dataclasses.dataclass(frozen=True)
class ContainerResult:
    """Exit code and output of a container that ran to its end; `timed_out` where it was killed.

    `oom` is set where the memory limit killed a process in it, not necessarily the first one.
    """

    code: int
    out: bytes
    err: bytes
    timed_out: bool = False
    oom: bool = False


class Pipe(Protocol):
    """Standard streams of a container's first process.

    Safe for one reader and one writer, each in its own thread.
    """

    def write(self, data: bytes) -> None:
        """Send all of `data`; raise OSError where the process has ended."""

    def read(self) -> bytes:
        """Return the next bytes of standard output, b"" at the end; raise OSError.

        Standard error is collected in `errors`, up to some kilobytes.
        """

    @property
    def errors(self) -> str:
        """The end of standard error so far."""

    def close(self) -> None:
        """Close the process's standard input and wake the reader."""


class Container(AbstractContextManager["Container"], Protocol):
    """A started container; a context manager that removes it."""

    @property
    def id(self) -> str:
        """The engine's id of it."""

    @property
    def pipe(self) -> Pipe:
        """The standard streams of its first process."""

    @property
    def address(self) -> str:
        """Its IP address in its private network or bridge; raises ContainerError without one."""

    def state(self) -> ContainerState:
        """Return its state; a removed container is not running and has no code."""

    def remove(self) -> None:
        """Kill and remove it; do nothing where it is removed already."""


class ContainerEngine(Protocol):
    """A container engine, which labels all objects that it makes with the project and the run.

    All methods raise ContainerError, or EngineLostError where the engine does not answer.
    """

    @property
    def info(self) -> EngineInfo:
        """Its name, platforms and resources."""

    def image(self, reference: str) -> ImageInfo | None:
        """Return an image by id, tag or digest, None where the engine does not have it."""

    def images(self) -> tuple[ImageInfo, ...]:
        """Return the images that this project has made."""

    def load(self, archive: IO[bytes]) -> str:
        """Load an archive of one image, as `docker save` writes it; return the image's id."""

    def pull(self, reference: str, platform: str, seconds: float) -> str:
        """Pull `name@sha256:...` for a platform; return the image's id."""

    def discard(self, image: str) -> None:
        """Remove an image of this project; do nothing where it is missing or in use."""

    def start(self, spec: ContainerSpec) -> Container:
        """Create and start a container, attached to its standard input and output."""

    def run(self, spec: ContainerSpec, seconds: float, stdin: bytes = b"") -> ContainerResult:
        """Run a container to its end, or kill it after `seconds`; it is removed in any case.

        One that writes more than some megabytes is killed, and ContainerError raised.
        """

    def bridge(self) -> AbstractContextManager[str]:
        """Return the name of a network that joins containers and leads nowhere else.

        It is made when the context is entered and removed when that is left, or by a later run.
        """

    def volume(self, size: int) -> AbstractContextManager[str]:
        """Return the name of a volume of at most `size` bytes of memory, writable by all.

        It is made when the context is entered and removed when that is left, or by a later run.
        """

    def sweep(self) -> int:
        """Remove containers and other objects of this machine's dead runs; return their number."""

    def close(self) -> None:
        """Disconnect from the engine; only containers attached to this process end."""
