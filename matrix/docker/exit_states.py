"""Exit states of containers, read from the engine's stream of events.

A container whose run was killed must be removed without us, so the engine removes every container
at its end (AutoRemove); afterwards it cannot be inspected. The events report it as it happens:
`oom`, `die` with the exit code, `destroy`. One stream serves all containers of a process.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from matrix.docker.client import EngineClient
from matrix.docker.labels import RUN, RunLabels

_MAX_STATES = 4096


@dataclasses.dataclass
class ExitState:
    """Events of one container so far; `gone` once it is removed."""

    oom: bool = False
    code: int | None = None
    gone: bool = False


class ExitWatcher:
    """Reads events in a thread of its own until `close`; `lost` once the stream has ended."""

    def __init__(self, client: EngineClient, run: RunLabels) -> None:
        """Begin to listen; raises docker-py's errors."""
        self._states: dict[str, ExitState] = {}
        self._changed = threading.Condition()
        self.lost = False
        # From the beginning of time: events between the response's head and its first line would
        # be missed otherwise. The engine stores few old events, and hardly any of this run.
        self._stream: Any = client.events(
            since=1, decode=True, filters={"type": ["container"], "label": [f"{RUN}={run.id}"]}
        )
        self._thread = threading.Thread(target=self._listen, name="engine-events", daemon=True)
        self._thread.start()

    def get(self, container: str) -> ExitState:
        """Return a copy of a container's state so far."""
        with self._changed:
            return dataclasses.replace(self._states.get(container, ExitState()))

    def wait_gone(self, container: str, seconds: float) -> ExitState:
        """Wait until the container is gone, the stream is lost or time is up; return its state."""
        with self._changed:
            self._changed.wait_for(
                lambda: self.lost or self._states.get(container, ExitState()).gone, seconds
            )
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
            state = self._states.setdefault(container, ExitState())
            if action == "oom":
                state.oom = True
            elif action == "die":
                state.code = _parse_code((actor.get("Attributes") or {}).get("exitCode"))
            else:
                state.gone = True
            while len(self._states) > _MAX_STATES:
                del self._states[next(iter(self._states))]
            self._changed.notify_all()


def _parse_code(text: object) -> int | None:
    try:
        return int(str(text))
    except ValueError:
        return None
