"""A container with our relay as its first process, and the typed reasons for the loss of one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from matrix.cells.interface import SandboxError
from matrix.cells.relay import RelayClient, RelayLostError
from matrix.docker.interface import (
    Container,
    ContainerEngine,
    ContainerError,
    ContainerSpec,
    EngineLostError,
)
from matrix.model.environment import Image
from matrix.model.reason import Reason
from matrix.system.processes import CHILDREN

if TYPE_CHECKING:
    from typing_extensions import Self


# Exit codes of a container that was killed, or that has none.
_KILLED = {None, 137, 143}


def plain_command(image: Image, program: PurePosixPath) -> tuple[str, ...]:
    """Return the command line of a program of ours in a container of `image`.

    It has the standard library only: neither the mounted site nor a variable may change it.
    """
    return (*image.launch, image.executable, "-S", "-E", "-s", "-B", "-u", str(program))


class RelayedContainer:
    """A context manager that starts the container, and removes it.

    `title` is what messages call it. Entering it raises SandboxError if it cannot be started;
    `seconds` returns for how long it may take.
    """

    def __init__(
        self,
        engine: ContainerEngine,
        image: Image,
        spec: ContainerSpec,
        seconds: Callable[[], float],
        title: str = "the container",
    ) -> None:
        self.spec = spec
        self.title = title
        self._engine = engine
        self._image = image
        self._seconds = seconds
        self._stack = contextlib.ExitStack()
        self._container: Container | None = None
        self._relay: RelayClient | None = None

    @property
    def container(self) -> Container:
        """The container; it exists while the context is open."""
        assert self._container is not None  # noqa: S101 - the context is open
        return self._container

    @property
    def relay(self) -> RelayClient:
        """The relay in the container; it exists while the context is open."""
        assert self._relay is not None  # noqa: S101 - the context is open
        return self._relay

    def check(self) -> None:
        """Raise SandboxError if the container was lost, or ran out of memory.

        The process that the system killed may not be the one that took the memory, and others may
        depend on it, so that no result of the cell counts then.
        """
        try:
            kills = self.relay.measure(self.spec.folder)[1]
        except RelayLostError as error:
            raise _lost_error(self.container, f"{self.title}: {error}") from error
        except TimeoutError as error:
            raise SandboxError(
                Reason.TIMED_OUT, f"{self.title} does not respond: {error}"
            ) from error
        try:
            out_of_memory = kills > 0 or (kills < 0 and self.container.state().oom)
        except ContainerError as error:
            raise _lost_error(self.container, f"{self.title}: {error}") from error
        if out_of_memory:
            memory = self.spec.confinement.memory
            raise SandboxError(
                Reason.OUT_OF_MEMORY,
                f"a process was killed: {memory >> 20} MiB of memory were not enough for"
                f" {self.title}",
            )

    def kill(self) -> None:
        """Close the container's input, which ends it; the engine removes it then."""
        if self._container is not None:
            with contextlib.suppress(OSError):
                self._container.pipe.close()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            try:
                container = self._container = self._engine.start(self.spec)
            except ContainerError as error:
                raise start_error(self._engine, self._image, error) from error
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
                    Reason.TIMED_OUT, f"{self.title} did not start: {error}"
                ) from error
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def start_error(engine: ContainerEngine, image: Image, error: ContainerError) -> SandboxError:
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
