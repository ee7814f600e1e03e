"""Cells on a cluster: sent where they fit, sent again when the scheduler was away, ended once each.

One thread takes every decision; it sleeps on a queue of messages, and looks at the workers now and
then, as Dask tells a client nothing of those that come and go.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future

from matrix.distributed.dask.client import (
    ClusterLostError,
    Connect,
    Outcome,
    TaskClient,
    TaskKilled,
)
from matrix.distributed.dask.queue import PendingCell, PendingQueue
from matrix.distributed.dask.resources import WorkerOffer, resource_sets, count_workers
from matrix.distributed.dask.task import TaskTemplate
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.runs.failures import unseen
from matrix.runs.interfaces import Clock, RemoteResult, Tell

__all__ = ["ClusterRunner", "ClusterTimeouts"]


@dataclasses.dataclass(frozen=True)
class ClusterTimeouts:
    """In seconds: how often to look at the workers, how long a cell waits for one that fits it, and
    how long a run waits for a scheduler that went away.
    """

    look: float = 1.0
    fitting: float = 60.0
    scheduler: float = 120.0


@dataclasses.dataclass(frozen=True)
class _Ended:
    """A cell ended, or the connection it was sent by was lost; `sending` counts connections."""

    order: int
    sending: int
    outcome: Outcome | ClusterLostError


class _Kill:
    """Asks the thread to end everything."""


_Message = PendingCell | _Ended | _Kill


class ClusterRunner:
    """A `FarRunner` over the connection `grid`, and those that `connect` makes when it is lost.

    To be closed.
    """

    def __init__(
        self,
        grid: TaskClient,
        connect: Connect,
        terms: TaskTemplate,
        clock: Clock,
        patience: ClusterTimeouts | None = None,
    ) -> None:
        self._grid: TaskClient | None = grid
        self._connect = connect
        self._terms = terms
        self._clock = clock
        self._patience = patience or ClusterTimeouts()
        self._messages: queue.SimpleQueue[_Message] = queue.SimpleQueue()
        self._cells = PendingQueue()
        self._offers: Sequence[WorkerOffer] = ()
        self._held: frozenset[frozenset[str]] = frozenset()
        self._tell: Tell = _nothing
        self._sending = 0
        self._lost_since: float | None = None
        self._lost = ""
        self._looked: float | None = None
        self._killed = False
        self._thread = threading.Thread(target=self._work, name="cluster", daemon=True)
        self._thread.start()

    def submit(self, order: int, planned: PlannedCell, tell: Tell) -> Future[RemoteResult]:
        """Start a cell where it fits; the future always ends, once."""
        self._tell = tell
        wanted = PendingCell(order, self._terms.ask(planned), Future())
        self._messages.put(wanted)
        return wanted.future

    def kill(self) -> None:
        """End all cells; what runs on workers is ended there."""
        self.close()

    def close(self) -> None:
        """Leave the cluster; what is outstanding ends as interrupted."""
        self._messages.put(_Kill())
        self._thread.join()

    def _work(self) -> None:
        while not self._killed:
            self._step()
        self._leave()

    def _step(self) -> None:
        try:
            self._listen()
            if not self._killed:
                self._look()
                self._send()
        except Exception as error:  # noqa: BLE001 - whoever waits for a cell would wait for ever
            self._lose(f"{type(error).__name__}: {error}")

    def _listen(self) -> None:
        with contextlib.suppress(queue.Empty):
            self._handle(self._messages.get(timeout=self._patience.look))
            # All that is there is taken in before anything is sent: the first goes first.
            while True:
                self._handle(self._messages.get_nowait())

    def _handle(self, message: _Message) -> None:
        if isinstance(message, _Kill):
            self._killed = True
        elif isinstance(message, PendingCell):
            if self._lost:
                self._end(message, Reason.CLUSTER_LOST, self._lost)
            else:
                self._cells.put(message, self._needs(message.asked.planned))
        elif isinstance(message.outcome, RemoteResult):
            # Also one that was sent again meanwhile: the first answer counts, the next finds none.
            if (wanted := self._cells.end(message.order)) is not None:
                wanted.future.set_result(message.outcome)
        elif message.sending != self._sending:
            pass  # of a connection that is no more
        elif isinstance(message.outcome, ClusterLostError):
            self._disconnected(str(message.outcome))
        elif (wanted := self._cells.end(message.order)) is not None:
            killed = isinstance(message.outcome, TaskKilled)
            reason = Reason.WORKER_LOST if killed else Reason.INTERNAL_ERROR
            self._end(wanted, reason, message.outcome.detail)

    def _look(self) -> None:
        """See which workers there are, and whether the scheduler is, every now and then."""
        now = self._clock.seconds()
        if self._looked is not None and now - self._looked < self._patience.look:
            return
        self._looked = now
        if self._grid is None and not self._lost:
            self._reconnect(now)
        if self._grid is None:
            return
        try:
            offers = self._grid.offers()
        except ClusterLostError as error:
            self._disconnected(str(error))
            self._give_up(now, str(error))
            return
        # Not before: one that takes connections and says nothing has not come back.
        self._lost_since = None
        if offers != self._offers:
            if self._offers and len(offers) != len(self._offers):
                self._tell(f"the cluster has {count_workers(len(offers))} now")
            self._take_note(offers)
        patience = self._patience.fitting
        for wanted, names in self._cells.stranded(now, patience):
            said = f"for {patience:g} s the cluster had no worker with {', '.join(names)}"
            self._end(wanted, Reason.WORKER_LOST, said)

    def _take_note(self, offers: Sequence[WorkerOffer]) -> None:
        self._offers = offers
        self._cells.offer(offers)
        held = resource_sets(offers, self._terms.version)
        if held != self._held:
            # What cells ask for depends on nothing else, and a cluster may come worker by worker.
            self._held = held
            self._cells.again(self._needs)

    def _send(self) -> None:
        if self._grid is None:
            return
        for wanted, needs in self._cells.take():
            done = functools.partial(self._done, wanted.order, self._sending)
            try:
                self._grid.submit(wanted.asked, needs, -wanted.order, done)
            except ClusterLostError as error:
                self._disconnected(str(error))
                return

    def _done(self, order: int, sending: int, outcome: Outcome | ClusterLostError) -> None:
        self._messages.put(_Ended(order, sending, outcome))

    def _disconnected(self, why: str) -> None:
        """Let everything wait for the scheduler to come back."""
        if self._grid is not None:
            self._grid.close()
        self._grid, self._sending = None, self._sending + 1
        if self._lost_since is None:
            self._lost_since = self._clock.seconds()
        # Anew: also how long there was no worker for some says nothing once the scheduler is back.
        cells, self._cells = self._cells.all(), PendingQueue()
        for wanted in cells:
            self._cells.put(wanted, self._needs(wanted.asked.planned))
        self._tell(f"the cluster's scheduler has gone ({why}): waiting for it to come back")

    def _reconnect(self, now: float) -> None:
        try:
            self._grid = self._connect()
        except ClusterLostError as error:
            self._give_up(now, str(error))
        else:
            self._tell("the cluster's scheduler is back")
            # Its workers come back one after the other: none of the old ones is there yet.
            self._take_note(())

    def _give_up(self, now: float, why: str) -> None:
        """Lose the cluster where its scheduler was away for too long."""
        seconds = self._patience.scheduler
        if self._lost_since is not None and now - self._lost_since >= seconds:
            self._lose(f"the scheduler did not come back within {seconds:g} s: {why}")

    def _lose(self, why: str) -> None:
        """End all cells, and those to come: they can be run nowhere."""
        self._lost = self._lost or why
        if self._grid is not None:
            self._grid.close()
            self._grid = None
        for wanted in self._cells.all():
            self._end(wanted, Reason.CLUSTER_LOST, self._lost)

    def _leave(self) -> None:
        for wanted in self._cells.all():
            self._end(wanted, Reason.INTERRUPTED, "the run was stopped")
        while True:
            try:
                message = self._messages.get_nowait()
            except queue.Empty:
                break
            if isinstance(message, PendingCell):
                self._end(message, Reason.INTERRUPTED, "the run was stopped")
        if self._grid is not None:
            self._grid.end(self._terms.run)
            self._grid.close()

    def _needs(self, planned: PlannedCell) -> dict[str, float]:
        return self._terms.needs(planned, self._held)

    @staticmethod
    def _end(wanted: PendingCell, reason: Reason, detail: str) -> None:
        wanted.future.set_result(RemoteResult("", unseen(wanted.asked.planned, "", reason, detail)))


def _nothing(_text: str) -> None:
    """Stand in for who listens, before a cell is asked for."""
