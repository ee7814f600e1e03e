"""A worker of a Dask cluster in this process, and what it does when the scheduler goes away.

Dask's own worker closes then, and a nanny would start its process anew. There is none here: what is
under way goes on, and a new worker in the same process takes the old one's place, so that a cell
that is asked for again is not run twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import distributed
from distributed.core import Status

from matrix.distributed.dask.client import hush
from matrix.distributed.dask.worker_run import WorkerRuns
from matrix.errors import ClusterUnavailableError, EngineUnavailableError

__all__ = ["DaskWorker", "LeaveReason", "work_for"]

_POLL_SECONDS = 0.1
_AGAIN_SECONDS = 0.5
_FETCH_SECONDS = 10.0
_TIDY_SECONDS = 60.0
_IDLE_SECONDS = 600.0


@dataclasses.dataclass(frozen=True)
class DaskWorker:
    """A worker: `resources` is what it offers, `slots` the cells that it runs at a time.

    It listens at `host`, "" for the address that leads to the scheduler. A scheduler may take
    `connect` seconds to answer at first, and `patience` seconds to come back.
    """

    address: str
    resources: Mapping[str, float]
    slots: int
    host: str = ""
    connect: float = 15.0
    patience: float = 300.0


class LeaveReason:
    """Why the worker is to leave the cluster: asked to, or its container engine is lost."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.lost = ""

    def ask(self) -> None:
        """Take no more cells, and leave when those that run have ended."""
        self.event.set()

    def lose(self, why: str) -> None:
        """Leave at once: no cell can be run here any more."""
        self.lost = self.lost or why
        self.event.set()


class _Worker(distributed.Worker):
    """Closes without waiting for what it runs: that is for the stations to end, or to finish."""

    async def close(  # type: ignore[override] # as Dask's own worker has it
        self,
        timeout: float = 30,
        executor_wait: bool = False,  # noqa: ARG002, FBT001, FBT002
        nanny: bool = True,  # noqa: FBT001, FBT002
        reason: str = "worker-close",
    ) -> str | None:
        return await super().close(timeout, executor_wait=False, nanny=nanny, reason=reason)


async def work_for(
    serving: DaskWorker,
    stations: WorkerRuns,
    leaving: LeaveReason,
    folder: Path,
    say: Callable[[str], None],
) -> None:
    """Run cells for the scheduler until told to leave; `say` is called with each thing to know.

    Raises ClusterUnavailableError where the scheduler does not answer at first, or does not come
    back, and EngineUnavailableError where the worker's own engine is lost.
    """
    hush()
    tidying = asyncio.create_task(_tidy(stations))
    since, patience, said = time.monotonic(), serving.connect, False
    try:
        while not leaving.event.is_set():
            worker = await _connected(serving, folder)
            if worker is None:
                if time.monotonic() - since >= patience:
                    raise _unavailable(serving, patience, again=said)
                with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
                    await asyncio.wait_for(leaving.event.wait(), _AGAIN_SECONDS)
                continue
            say(f"worker ready at {worker.address}")
            said = True
            await _until_over(worker, leaving)
            if not leaving.event.is_set():
                say("the scheduler has gone: waiting for it to come back")
                since, patience = time.monotonic(), serving.patience
            elif not leaving.lost:
                await _finish(worker, stations)
            await worker.close()
    finally:
        tidying.cancel()
    if leaving.lost:
        raise EngineUnavailableError(
            f"the container engine was lost: {leaving.lost}",
            "Start it, and the worker again; its cells have gone to other workers.",
        )


async def _connected(serving: DaskWorker, folder: Path) -> _Worker | None:
    """Return a worker that the scheduler has taken in, None where it does not answer soon."""
    make: Any = _Worker
    worker = make(
        serving.address,
        nthreads=serving.slots,
        resources=dict(serving.resources),
        memory_limit=0,  # its memory is that of the cells' own processes, which Dask does not see
        local_directory=str(folder),
        death_timeout=serving.connect,
        host=serving.host or None,
        dashboard=False,
    )
    try:
        await worker
    except (OSError, TimeoutError, asyncio.TimeoutError, RuntimeError, ValueError):
        with contextlib.suppress(Exception):
            await worker.close()
        return None
    return worker  # type: ignore[no-any-return]


async def _until_over(worker: _Worker, leaving: LeaveReason) -> None:
    finished: Any = worker.finished
    over = asyncio.ensure_future(finished())
    asked = asyncio.ensure_future(leaving.event.wait())
    await asyncio.wait({over, asked}, return_when=asyncio.FIRST_COMPLETED)
    for each in (over, asked):
        each.cancel()
    await asyncio.gather(over, asked, return_exceptions=True)


async def _finish(worker: _Worker, stations: WorkerRuns) -> None:
    """Take no more cells, let those that run end, and let their answers be fetched."""
    worker.status = Status.paused
    deadline = None
    while worker.status is Status.paused:
        if not stations.under_way:
            deadline = deadline or time.monotonic() + _FETCH_SECONDS
            if not worker.data or time.monotonic() > deadline:
                return
        await asyncio.sleep(_POLL_SECONDS)


async def _tidy(stations: WorkerRuns) -> None:
    while True:
        await asyncio.sleep(_TIDY_SECONDS)
        await asyncio.to_thread(stations.tidy, _IDLE_SECONDS)


def _unavailable(serving: DaskWorker, seconds: float, *, again: bool) -> ClusterUnavailableError:
    came = "did not come back" if again else "answers"
    no = "the scheduler" if again else "no Dask scheduler"
    return ClusterUnavailableError(
        f"{no} at {serving.address} {came} within {seconds:g} s",
        "Start one on a machine that all others reach: dask scheduler",
    )
