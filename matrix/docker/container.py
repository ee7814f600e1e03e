"""A started container of Docker."""

from __future__ import annotations

import contextlib
from typing import Any

import docker.errors

from matrix.docker.client import CONFLICT, EngineClient, translate_errors
from matrix.docker.exit_states import ExitWatcher
from matrix.docker.interface import ContainerError, ContainerState
from matrix.docker.pipe import DockerPipe

_GONE_SECONDS = 5.0
"""Between a container's end and its removal lie some milliseconds."""


class DockerContainer(contextlib.AbstractContextManager["DockerContainer"]):
    """A `Container` that lives no longer than its pipe."""

    def __init__(
        self,
        client: EngineClient,
        name: str,
        pipe: DockerPipe,
        exits: ExitWatcher,
        network: str = "",
    ) -> None:
        """`network` is its private one, removed with it, "" where it has none."""
        self.id = name
        self.pipe = pipe
        self._client = client
        self._exits = exits
        self._network = network

    @property
    def address(self) -> str:
        """Its IP address in its private network; raises ContainerError where it has none."""
        with translate_errors("reading a container's address"):
            networks: Any = self._client.inspect_container(self.id)["NetworkSettings"]["Networks"]
        address = str((networks.get(self._network) or {}).get("IPAddress") or "")
        if not address:
            raise ContainerError("the container has no address of its own")
        return address

    def state(self) -> ContainerState:
        """Return its state; a removed container is not running, and has a code where it is known.

        Raises ContainerError, EngineLostError where the engine does not answer.
        """
        ending = self._exits.get(self.id)
        if ending.code is None:
            with translate_errors("reading a container's state"):
                try:
                    state: Any = self._client.inspect_container(self.id)["State"]
                except docker.errors.NotFound:
                    state = {"Running": False}
            if state.get("Running"):
                return ContainerState(running=True, code=None, oom=ending.oom)
        # The event `oom` may come after `die`, but not after `destroy`.
        ending = self._exits.wait_gone(self.id, _GONE_SECONDS)
        return ContainerState(running=False, code=ending.code, oom=ending.oom)

    def remove(self) -> None:
        """Kill and remove it; do nothing where it is removed already. Raises ContainerError."""
        self.pipe.close()
        with translate_errors("removing a container"):
            try:
                self._client.remove_container(self.id, v=True, force=True)
            except docker.errors.NotFound:
                pass
            except docker.errors.APIError as error:
                if error.status_code != CONFLICT:  # it is being removed already
                    raise
        self._exits.wait_gone(self.id, _GONE_SECONDS)
        if self._network:
            remove_network(self._client, self._network)

    def __exit__(self, *_: object) -> None:
        self.remove()


def remove_network(client: EngineClient, network: str) -> None:
    """Remove a container's private network; what the engine does not do now is swept later."""
    with contextlib.suppress(ContainerError), translate_errors("removing a network"):
        client.remove_network(network)
