"""The stations of a worker process, by run, and what the cluster calls in that process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from matrix.cluster.asked import Asked
from matrix.cluster.station import Station
from matrix.model.reason import Reason
from matrix.verify.seams import Ran
from matrix.verify.unmade import unseen

__all__ = ["Stations", "end_run", "run_cell", "serve"]

# A worker that has to leave is taken from the cluster within seconds.
_LEAVING_SECONDS = 120.0


class Stations:
    """One station for each run that asks for cells here.

    `leave` is called when this machine can run no cell any more, with the reason: what it was asked
    goes to another worker then.
    """

    def __init__(
        self, version: str, make: Callable[[Asked], Station], leave: Callable[[str], None]
    ) -> None:
        self._version = version
        self._make = make
        self._leave = leave
        self._lock = threading.Lock()
        self._open: dict[str, Station] = {}
        self._used: dict[str, float] = {}
        self._ended: set[str] = set()
        self._under_way = 0
        self._closed = False
        self.left = threading.Event()

    @property
    def under_way(self) -> int:
        """Return how many cells are asked for and not answered."""
        with self._lock:
            return self._under_way

    def run(self, asked: Asked) -> Ran:
        """Run one cell; raise ValueError for another version of the project."""
        if asked.version != self._version:
            raise ValueError(
                f"this worker has version {self._version[:12]} of the project and is asked by"
                f" version {asked.version[:12]}: start it again with that one"
            )
        with self._lock:
            self._under_way += 1
        try:
            station = self._station(asked)
            if station is None:
                return Ran("", unseen(asked.planned, "", Reason.INTERRUPTED, "the run was stopped"))
            answer = station.run(asked.planned, asked.known)
        finally:
            with self._lock:
                self._under_way -= 1
                self._used[asked.run] = time.monotonic()
        if answer.capture is not None and answer.capture.failed is Reason.ENGINE_LOST:
            self._leave(answer.capture.detail or "the container engine does not answer")
            # Nothing is answered: the cell is given to another worker when this one has left.
            self.left.wait(_LEAVING_SECONDS)
        return answer

    def end(self, run: str) -> None:
        """End all cells of a run at once and put away what there is of it; takes seconds."""
        with self._lock:
            self._ended.add(run)
            station = self._open.pop(run, None)
        if station is not None:
            station.kill()
            station.close()

    def tidy(self, idle: float) -> None:
        """Put away what there is of runs that asked for nothing for `idle` seconds."""
        since = time.monotonic() - idle
        with self._lock:
            old = [run for run, station in self._open.items() if self._is_old(run, station, since)]
            closed = [self._open.pop(run) for run in old]
        for station in closed:
            station.close()

    def close(self) -> None:
        """End everything."""
        self.left.set()
        with self._lock:
            self._closed = True
            runs = list(self._open)
        for run in runs:
            self.end(run)

    def _is_old(self, run: str, station: Station, since: float) -> bool:
        return not station.busy and self._used.get(run, 0.0) < since

    def _station(self, asked: Asked) -> Station | None:
        """Return the station of the run, None for a run that has ended, or where all has."""
        with self._lock:
            if self._closed or asked.run in self._ended:
                return None
            self._used[asked.run] = time.monotonic()
            if asked.run not in self._open:
                self._open[asked.run] = self._make(asked)
            return self._open[asked.run]


_HERE: list[Stations] = []


def serve(stations: Stations) -> None:
    """Let what the cluster calls in this process find the stations."""
    _HERE[:] = [stations]


def run_cell(asked: Asked) -> Ran:
    """Run one cell on the worker that this is called on."""
    if not _HERE:
        raise RuntimeError("this worker was not started by: python -m matrix worker")
    return _HERE[0].run(asked)


def end_run(run: str) -> None:
    """End a run on the worker that this is called on, without waiting for it."""
    if _HERE:
        threading.Thread(target=_HERE[0].end, args=(run,), name="end-run", daemon=True).start()
