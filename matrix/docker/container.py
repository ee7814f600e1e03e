"""A started container of Docker."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import TYPE_CHECKING, Any

import docker.errors

from matrix.docker.client import EngineClient
from matrix.docker.errors import translated
from matrix.docker.exit_states import ExitWatcher
from matrix.docker.interface import ContainerError, ContainerState
from matrix.docker.pipe import DockerPipe

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["DockerContainer", "remove_network"]

_KILLED = 128 + 9
_WAIT = 5.0
"""Seconds; between a container's end and its removal lie some milliseconds."""


class DockerContainer:
    """A `Container`; its pipe is its lifeline."""

    def __init__(
        self,
        client: EngineClient,
        name: str,
        pipe: DockerPipe,
        endings: ExitWatcher,
        network: str = "",
    ) -> None:
        """Take over `network`, which is its own, where it has one."""
        self.id = name
        self._network = network
        self.pipe = pipe
        self._client = client
        self._endings = endings

    @property
    def address(self) -> str:
        """Where this machine reaches it by its private network; raises ContainerError."""
        with translated("asking for a container's address"):
            said: Any = self._client.inspect_container(self.id)["NetworkSettings"]["Networks"]
        found = str((said.get(self._network) or {}).get("IPAddress") or "")
        if not found:
            raise ContainerError("the container has no address of its own")
        return found

    def state(self) -> ContainerState:
        """Return how it is; one that is gone does not run, and how it ended is told if known.

        Raises ContainerError, EngineLostError where the engine does not answer.
        """
        told = self._endings.of(self.id)
        if told.code is None:
            with translated("asking for a container's state"):
                try:
                    said: Any = self._client.inspect_container(self.id)["State"]
                except docker.errors.NotFound:
                    said = {"Running": False}
            if said.get("Running"):
                return ContainerState(running=True, code=None, oom=told.oom)
        # Word of a lack of memory may come after that of the end, but not after the removal's.
        told = self._endings.wait_gone(self.id, _WAIT)
        return ContainerState(running=False, code=told.code, oom=told.oom)

    def remove(self) -> None:
        """Kill and remove it; no complaint where it is gone. Raises ContainerError."""
        self.pipe.close()
        with translated("removing a container"):
            try:
                self._client.remove_container(self.id, v=True, force=True)
            except docker.errors.NotFound:
                pass
            except docker.errors.APIError as error:
                if error.status_code != 409:  # noqa: PLR2004 - it is going already
                    raise
        self._endings.wait_gone(self.id, _WAIT)
        if self._network:
            remove_network(self._client, self._network)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.remove()


def remove_network(client: EngineClient, network: str) -> None:
    """Remove a container's private network; what the engine does not do now is swept later."""
    with contextlib.suppress(ContainerError), translated("removing a network"):
        client.remove_network(network)
