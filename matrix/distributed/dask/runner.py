"""Run cells on a cluster: send each where it fits, and again after the scheduler was away.

One thread makes all decisions. It waits on a queue of messages, and polls the workers, as Dask does
not notify a client of workers that come and go.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future

from matrix.distributed.dask.interface import (
    ClusterLostError,
    Connect,
    Outcome,
    TaskClient,
    TaskKilled,
    TaskTemplate,
)
from matrix.distributed.dask.queue import PendingCell, PendingQueue
from matrix.distributed.dask.resources import WorkerOffer, count_workers, resource_sets
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.runs.interface import CellRequest, CellResult, Clock, Report, capture_not_run

_STOPPED = "the run was stopped"


@dataclasses.dataclass(frozen=True)
class ClusterTimeouts:
    """Times in seconds: `poll` between two looks at the workers, `fitting` that a cell waits for a
    worker that fits it, `scheduler` that a run waits for a scheduler that is away.
    """

    poll: float = 1.0
    fitting: float = 60.0
    scheduler: float = 120.0


@dataclasses.dataclass(frozen=True)
class _CellEnd:
    """The outcome of a cell, or the loss of its connection, whose number is `connection`."""

    order: int
    connection: int
    outcome: Outcome | ClusterLostError


_Message = PendingCell | _CellEnd | None
"""None ends everything."""


class ClusterRunner:
    """A `Runner` that uses `client`, and after a lost connection those that `connect` makes.

    Close it after use.
    """

    def __init__(
        self,
        client: TaskClient,
        connect: Connect,
        template: TaskTemplate,
        clock: Clock,
        timeouts: ClusterTimeouts,
    ) -> None:
        self._client: TaskClient | None = client
        self._connect = connect
        self._template = template
        self._clock = clock
        self._timeouts = timeouts
        self._messages: queue.SimpleQueue[_Message] = queue.SimpleQueue()
        self._cells = PendingQueue()
        self._offers: Sequence[WorkerOffer] = ()
        self._available: frozenset[frozenset[str]] = frozenset()
        self._report: Report = lambda _text: None
        self._connection = 0
        self._away_since: float | None = None
        self._lost = ""
        self._polled: float | None = None
        self._killed = False
        self._thread = threading.Thread(target=self._work, name="cluster", daemon=True)
        self._thread.start()

    def submit(self, request: CellRequest, report: Report) -> Future[CellResult]:
        """Start a cell where it fits; the future always ends, once."""
        self._report = report
        pending = PendingCell(request.order, self._template.task(request.planned), Future())
        self._messages.put(pending)
        return pending.future

    def kill(self) -> None:
        """End all cells, also on the workers."""
        self.close()

    def close(self) -> None:
        """Leave the cluster; cells that have not ended end as interrupted."""
        self._messages.put(None)
        self._thread.join()

    def _work(self) -> None:
        while not self._killed:
            self._step()
        self._leave()

    def _step(self) -> None:
        try:
            self._receive()
            if not self._killed:
                self._poll()
                self._send()
        except Exception as error:  # noqa: BLE001 - without this thread no cell would ever end
            self._lose(f"{type(error).__name__}: {error}")

    def _receive(self) -> None:
        with contextlib.suppress(queue.Empty):
            self._handle(self._messages.get(timeout=self._timeouts.poll))
            # Take all messages before anything is sent, so that the first in order goes first.
            while True:
                self._handle(self._messages.get_nowait())

    def _handle(self, message: _Message) -> None:
        if message is None:
            self._killed = True
        elif isinstance(message, PendingCell):
            if self._lost:
                self._fail(message, Reason.CLUSTER_LOST, self._lost)
            else:
                self._cells.put(message, self._needs(message.task.planned))
        elif isinstance(message.outcome, CellResult):
            # Also of a cell that was sent again: the first result counts, later ones find no cell.
            if (pending := self._cells.end(message.order)) is not None:
                pending.future.set_result(message.outcome)
        elif message.connection != self._connection:
            pass  # of an earlier connection
        elif isinstance(message.outcome, ClusterLostError):
            self._disconnect(str(message.outcome))
        elif (pending := self._cells.end(message.order)) is not None:
            killed = isinstance(message.outcome, TaskKilled)
            reason = Reason.WORKER_LOST if killed else Reason.INTERNAL_ERROR
            self._fail(pending, reason, message.outcome.detail)

    def _poll(self) -> None:
        """Update the workers and the state of the scheduler, once per `poll` seconds."""
        now = self._clock.seconds()
        if self._polled is not None and now - self._polled < self._timeouts.poll:
            return
        self._polled = now
        if self._client is None and not self._lost:
            self._reconnect(now)
        if self._client is None:
            return
        try:
            offers = self._client.offers()
        except ClusterLostError as error:
            self._disconnect(str(error))
            self._lose_after_timeout(now, str(error))
            return
        # Not before: a scheduler that accepts connections and does not answer is still away.
        self._away_since = None
        if offers != self._offers:
            if self._offers and len(offers) != len(self._offers):
                self._report(f"the cluster has {count_workers(len(offers))} now")
            self._set_offers(offers)
        timeout = self._timeouts.fitting
        for pending, names in self._cells.take_unfit(now, timeout):
            detail = f"for {timeout:g} s the cluster had no worker with {', '.join(names)}"
            self._fail(pending, Reason.WORKER_LOST, detail)

    def _set_offers(self, offers: Sequence[WorkerOffer]) -> None:
        self._offers = offers
        self._cells.offer(offers)
        available = resource_sets(offers, self._template.version)
        if available != self._available:
            # The needs of cells depend on nothing else; a cluster may grow worker by worker.
            self._available = available
            self._cells.update_needs(self._needs)

    def _send(self) -> None:
        if self._client is None:
            return
        for pending, needs in self._cells.take():
            on_done = functools.partial(self._on_done, pending.order, self._connection)
            try:
                self._client.submit(pending.task, needs, -pending.order, on_done)
            except ClusterLostError as error:
                self._disconnect(str(error))
                return

    def _on_done(self, order: int, connection: int, outcome: Outcome | ClusterLostError) -> None:
        self._messages.put(_CellEnd(order, connection, outcome))

    def _disconnect(self, detail: str) -> None:
        """Close the connection, and let all cells wait for the scheduler to come back."""
        if self._client is not None:
            self._client.close()
        self._client, self._connection = None, self._connection + 1
        if self._away_since is None:
            self._away_since = self._clock.seconds()
        # A new queue: how long a cell fitted no worker does not count once the scheduler is back.
        cells, self._cells = self._cells.take_all(), PendingQueue()
        for pending in cells:
            self._cells.put(pending, self._needs(pending.task.planned))
        self._report(f"lost the cluster's scheduler ({detail}): waiting for it to come back")

    def _reconnect(self, now: float) -> None:
        try:
            self._client = self._connect()
        except ClusterLostError as error:
            self._lose_after_timeout(now, str(error))
        else:
            self._report("the cluster's scheduler is back")
            # Its workers come back one after the other: none of the old ones is there yet.
            self._set_offers(())

    def _lose_after_timeout(self, now: float, detail: str) -> None:
        """Lose the cluster where its scheduler was away for too long."""
        timeout = self._timeouts.scheduler
        if self._away_since is not None and now - self._away_since >= timeout:
            self._lose(f"the scheduler did not come back within {timeout:g} s: {detail}")

    def _lose(self, detail: str) -> None:
        """End all cells, now and in future: nothing can run them."""
        self._lost = self._lost or detail
        if self._client is not None:
            self._client.close()
            self._client = None
        for pending in self._cells.take_all():
            self._fail(pending, Reason.CLUSTER_LOST, self._lost)

    def _leave(self) -> None:
        for pending in self._cells.take_all():
            self._fail(pending, Reason.INTERRUPTED, _STOPPED)
        with contextlib.suppress(queue.Empty):
            while True:
                message = self._messages.get_nowait()
                if isinstance(message, PendingCell):
                    self._fail(message, Reason.INTERRUPTED, _STOPPED)
        if self._client is not None:
            self._client.end(self._template.run)
            self._client.close()

    def _needs(self, planned: PlannedCell) -> dict[str, float]:
        return self._template.needs(planned, self._available)

    @staticmethod
    def _fail(pending: PendingCell, reason: Reason, detail: str) -> None:
        capture = capture_not_run(pending.task.planned, "", reason, detail)
        pending.future.set_result(CellResult(capture))
