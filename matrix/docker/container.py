"""A started container of Docker, and its exit state, read from the engine's stream of events.

A container whose run was killed must be removed without us, so the engine removes every container
at its end (AutoRemove); afterwards it cannot be inspected. The events report it as it happens:
`oom`, `die` with the exit code, `destroy`. One stream serves all containers of a process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import docker.errors

from matrix.docker.client import CONFLICT, NOT_FOUND, EngineClient, allow_status, translate_errors
from matrix.docker.interface import ContainerError, ContainerState
from matrix.docker.labels import RUN, RunLabels
from matrix.docker.pipe import DockerPipe

_GONE_SECONDS = 5.0
"""Between a container's end and its removal lie some milliseconds."""

_MAX_STATES = 4096


_STARTED = ContainerState(running=True, code=None, oom=False)


class ExitWatcher:
    """Reads events in a thread of its own until `close`; `lost` once the stream has ended.

    In its states, a container runs until it is removed.
    """

    def __init__(self, client: EngineClient, run: RunLabels) -> None:
        """Begin to listen; raises docker-py's errors."""
        self._states: dict[str, ContainerState] = {}
        self._changed = threading.Condition()
        self.lost = False
        # From the beginning of time: events between the response's head and its first line would
        # be missed otherwise. The engine stores few old events, and hardly any of this run.
        self._stream: Any = client.events(
            since=1, decode=True, filters={"type": ["container"], "label": [f"{RUN}={run.id}"]}
        )
        self._thread = threading.Thread(target=self._listen, name="engine-events", daemon=True)
        self._thread.start()

    def get(self, container: str) -> ContainerState:
        """Return a container's state so far."""
        return self._states.get(container, _STARTED)

    def wait_gone(self, container: str, seconds: float) -> ContainerState:
        """Wait until the container is gone, the stream is lost or time is up; return its state."""
        with self._changed:
            self._changed.wait_for(lambda: self.lost or not self.get(container).running, seconds)
            return self.get(container)

    def close(self) -> None:
        """Stop listening."""
        self._stream.close()
        self._thread.join(timeout=5)

    def _listen(self) -> None:
        try:
            for event in self._events():
                self._record(event)
        finally:
            with self._changed:
                self.lost = True
                self._changed.notify_all()

    def _events(self) -> Iterator[Mapping[str, Any]]:
        try:
            yield from self._stream
        except Exception:  # noqa: BLE001 - however the stream was closed, it has ended
            return

    def _record(self, event: Mapping[str, Any]) -> None:
        actor = event.get("Actor") or {}
        container, action = str(actor.get("ID", "")), str(event.get("Action", ""))
        if action not in {"oom", "die", "destroy"}:
            return
        with self._changed:
            state = self.get(container)
            if action == "oom":
                state = dataclasses.replace(state, oom=True)
            elif action == "die":
                with contextlib.suppress(ValueError):
                    code = int(str((actor.get("Attributes") or {}).get("exitCode")))
                    state = dataclasses.replace(state, code=code)
            else:
                state = dataclasses.replace(state, running=False)
            self._states[container] = state
            while len(self._states) > _MAX_STATES:
                del self._states[next(iter(self._states))]
            self._changed.notify_all()


@dataclasses.dataclass(frozen=True, eq=False)
class DockerContainer(contextlib.AbstractContextManager["DockerContainer"]):
    """A `Container` that lives no longer than its pipe.

    `network` is the one that it has an address in, "" where it has none; it is removed with it if
    it is `private`.
    """

    client: EngineClient
    id: str
    pipe: DockerPipe
    exits: ExitWatcher
    network: str
    private: bool

    @property
    def address(self) -> str:
        """Its IP address in its private network or bridge; raises ContainerError without one."""
        with translate_errors("reading a container's address"):
            networks: Any = self.client.inspect_container(self.id)["NetworkSettings"]["Networks"]
        address = str((networks.get(self.network) or {}).get("IPAddress") or "")
        if not address:
            raise ContainerError("the container has no address of its own")
        return address

    def state(self) -> ContainerState:
        """Return its state; a removed container is not running, and has a code where it is known.

        Raises ContainerError, EngineLostError where the engine does not answer.
        """
        ending = self.exits.get(self.id)
        if ending.code is None:
            with translate_errors("reading a container's state"):
                try:
                    state: Any = self.client.inspect_container(self.id)["State"]
                except docker.errors.NotFound:
                    state = {"Running": False}
            if state.get("Running"):
                return ending
        # The event `oom` may come after `die`, but not after `destroy`.
        ending = self.exits.wait_gone(self.id, _GONE_SECONDS)
        return dataclasses.replace(ending, running=False)

    def remove(self) -> None:
        """Kill and remove it; do nothing where it is removed already. Raises ContainerError."""
        self.pipe.close()
        with translate_errors("removing a container"), allow_status(NOT_FOUND, CONFLICT):
            self.client.remove_container(self.id, v=True, force=True)
        self.exits.wait_gone(self.id, _GONE_SECONDS)
        if self.private:
            remove_network(self.client, self.network)

    def __exit__(self, *_: object) -> None:
        self.remove()


def remove_network(client: EngineClient, network: str) -> None:
    """Remove a network; what the engine does not do now is swept later."""
    with contextlib.suppress(ContainerError), translate_errors("removing a network"):
        client.remove_network(network)
