"""A connection to a Dask scheduler, see https://distributed.dask.org/en/stable/client.html .

All calls of Dask are made in a thread of their own, which runs its client's loop. Dask's client
would reconnect by itself; here a lost connection stays lost, so that one place (the runner) decides
which cells are sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import uuid
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

import distributed
from distributed.scheduler import KilledWorker

from matrix.distributed.dask.interface import (
    CellTask,
    ClusterLostError,
    OnDone,
    Outcome,
    TaskFailed,
    TaskKilled,
)
from matrix.distributed.dask.resources import WorkerOffer
from matrix.distributed.dask.worker_run import end_run, run_cell
from matrix.runs.interface import CellResult

_OFFERS_SECONDS = 30.0
_END_SECONDS = 10.0
_T = TypeVar("_T")


def silence_dask() -> None:
    """Turn Dask's logging off: the state of a connection is reported in this project's messages."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


class DaskClient:
    """A `TaskClient`; raises ClusterLostError where no scheduler answers within `seconds`."""

    def __init__(self, address: str, seconds: float) -> None:
        silence_dask()
        self._lost = self._closed = False
        self._offers: tuple[WorkerOffer, ...] = ()
        self._futures: dict[str, Any] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="dask", daemon=True)
        self._thread.start()
        try:
            self._client = self._call(self._connect(address, seconds), seconds + _END_SECONDS)
        except ClusterLostError:
            self._end_loop()
            raise

    def offers(self) -> Sequence[WorkerOffer]:
        """Return all current workers."""
        return self._call(self._fetch_offers(), _OFFERS_SECONDS)

    def submit(
        self, task: CellTask, needs: Mapping[str, float], priority: int, on_done: OnDone
    ) -> None:
        """Send a cell to a worker that has what it needs."""
        self._check()
        asyncio.run_coroutine_threadsafe(self._run(task, needs, priority, on_done), self._loop)

    def end(self, run: str) -> None:
        """Forget all cells of a run and end it on the workers."""
        with contextlib.suppress(ClusterLostError):
            self._call(self._end(run), _END_SECONDS)

    def close(self) -> None:
        """Disconnect."""
        if self._closed:
            return
        self._closed = self._lost = True
        with contextlib.suppress(ClusterLostError):
            self._call(self._close(), _END_SECONDS)
        self._end_loop()

    async def _connect(self, address: str, seconds: float) -> Any:  # noqa: ANN401 - Dask has no types
        client_class: Any = distributed.Client
        return await client_class(
            address, timeout=seconds, asynchronous=True, set_as_default=False, name="compat-matrix"
        )

    async def _close(self) -> None:
        await self._client.close()

    async def _fetch_offers(self) -> tuple[WorkerOffer, ...]:
        self._check()
        scheduler = self._client.scheduler
        # The list of workers is a short answer; their description is a long one.
        running = await scheduler.ncores_running()
        current = {address: address in running for address in await scheduler.ncores()}
        if current != {offer.address: offer.slots > 0 for offer in self._offers}:
            identity = await scheduler.identity()
            self._offers = tuple(
                WorkerOffer(
                    address,
                    int(worker["nthreads"]) if worker["status"] == "running" else 0,
                    dict(worker["resources"]),
                )
                for address, worker in sorted(identity["workers"].items())
            )
        return self._offers

    async def _run(
        self, task: CellTask, needs: Mapping[str, float], priority: int, on_done: OnDone
    ) -> None:
        key = f"cell-{uuid.uuid4().hex}-{task.planned.cell.id}"
        outcome: Outcome | ClusterLostError
        try:
            self._check()
            future = self._futures[key] = self._client.submit(
                run_cell, task, key=key, resources=dict(needs), priority=priority, pure=False
            )
            result = await future
            if isinstance(result, CellResult):
                outcome = result
            else:
                outcome = TaskFailed(f"unexpected result {result!r:.200}")
        except KilledWorker as error:
            outcome = TaskKilled(str(error))
        except CancelledError:  # its message is about Dask's own futures
            outcome = ClusterLostError("connection lost")
        except (ClusterLostError, OSError) as error:
            outcome = ClusterLostError(str(error) or type(error).__name__)
        except Exception as error:  # noqa: BLE001 - any exception of the worker is raised here
            outcome = TaskFailed(f"{type(error).__name__}: {error}")
        self._futures.pop(key, None)
        on_done(outcome)

    async def _end(self, run: str) -> None:
        self._check()
        await self._client.cancel(list(self._futures.values()), force=True)
        workers = [offer.address for offer in self._offers if offer.version]
        await self._client.run(end_run, run, workers=workers, on_error="ignore")

    def _check(self) -> None:
        client = getattr(self, "_client", None)
        if self._lost or client is None or client.status != "running":
            self._lost = True
            raise ClusterLostError("no answer")

    def _call(self, coroutine: Coroutine[Any, Any, _T], seconds: float) -> _T:
        """Run on the loop's thread; raise ClusterLostError for every error of the connection."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(seconds)
        except (FutureTimeoutError, TimeoutError) as error:
            future.cancel()
            raise ClusterLostError("no answer in time") from error
        except (OSError, CancelledError, ValueError, RuntimeError) as error:
            raise ClusterLostError(str(error) or type(error).__name__) from error

    def _end_loop(self) -> None:
        with contextlib.suppress(ClusterLostError):
            self._call(_cancel_other_tasks(), _END_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_END_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()


async def _cancel_other_tasks() -> None:
    """Cancel what is left on the loop, so that asyncio does not warn of pending tasks."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
