"""How containers ended, as the engine tells it on its stream of events.

A container whose run was killed must go by itself, so the engine removes every container at its end
(AutoRemove); afterwards it cannot be asked any more how it ended. The events tell it as it happens:
`oom`, `die` with the exit code, `destroy`. One stream serves all containers of a process.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from matrix.docker.client import EngineClient
from matrix.docker.labels import RUN, RunLabels

__all__ = ["ExitState", "ExitWatcher"]

_MOST = 4096


@dataclasses.dataclass
class ExitState:
    """What has been told of one container so far."""

    oom: bool = False
    code: int | None = None
    gone: bool = False


class ExitWatcher:
    """Listens, in a thread of its own, from when it is made until `close` or the engine's end."""

    def __init__(self, client: EngineClient, run: RunLabels) -> None:
        """Begin to listen; raises what docker-py raises."""
        self._told: dict[str, ExitState] = {}
        self._changed = threading.Condition()
        self.lost = False
        # From the beginning of time: what is told between the answer's head and its first line
        # would be missed otherwise. The engine holds few old events, and of this run hardly any.
        self._stream: Any = client.events(
            since=1,
            decode=True,
            filters={"type": ["container"], "label": [f"{RUN}={run.id}"]},
        )
        self._thread = threading.Thread(target=self._listen, name="engine-events", daemon=True)
        self._thread.start()

    def of(self, container: str) -> ExitState:
        """Return a copy of what has been told of a container."""
        with self._changed:
            return dataclasses.replace(self._told.get(container, ExitState()))

    def wait_gone(self, container: str, seconds: float) -> ExitState:
        """Return the same when the container is gone, the stream is lost or time is up."""
        with self._changed:
            self._changed.wait_for(
                lambda: self.lost or self._told.get(container, ExitState()).gone, seconds
            )
            return dataclasses.replace(self._told.get(container, ExitState()))

    def close(self) -> None:
        """Stop listening."""
        self._stream.close()
        self._thread.join(timeout=5)

    def _listen(self) -> None:
        try:
            for event in self._events():
                self._take(event)
        finally:
            with self._changed:
                self.lost = True
                self._changed.notify_all()

    def _events(self) -> Iterator[Mapping[str, Any]]:
        try:
            yield from self._stream
        except Exception:  # noqa: BLE001 - closed under us in whatever way: the stream has ended
            return

    def _take(self, event: Mapping[str, Any]) -> None:
        actor = event.get("Actor") or {}
        container, action = str(actor.get("ID", "")), str(event.get("Action", ""))
        if action not in {"oom", "die", "destroy"}:
            return
        with self._changed:
            ending = self._told.setdefault(container, ExitState())
            if action == "oom":
                ending.oom = True
            elif action == "die":
                ending.code = _code((actor.get("Attributes") or {}).get("exitCode"))
            else:
                ending.gone = True
            while len(self._told) > _MOST:
                del self._told[next(iter(self._told))]
            self._changed.notify_all()


def _code(said: object) -> int | None:
    try:
        return int(str(said))
    except ValueError:
        return None
