"""A Dask worker in this process that survives a restart of the scheduler.

Dask's own worker closes when the scheduler goes away, and a nanny would restart its process. There
is none here: running cells go on, and a new Dask worker in the same process takes over, so that a
cell that is sent again does not run twice.
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

from matrix.distributed.dask.client import silence_dask
from matrix.distributed.dask.worker_run import WorkerRuns
from matrix.errors import ClusterUnavailableError, EngineUnavailableError

_POLL_SECONDS = 0.1
_RETRY_SECONDS = 0.5
_FETCH_SECONDS = 10.0
_TIDY_SECONDS = 60.0
_IDLE_SECONDS = 600.0


@dataclasses.dataclass(frozen=True)
class WorkerOptions:
    """A worker's `resources`, and `slots` cells at a time.

    It listens at `host`, "" for the address that leads to the scheduler. The scheduler may take
    `connect_seconds` to answer at first, and `return_seconds` to come back.
    """

    address: str
    resources: Mapping[str, float]
    slots: int
    host: str = ""
    connect_seconds: float = 15.0
    return_seconds: float = 300.0


class LeaveRequest:
    """The request to leave the cluster: from the user, or because the container engine is lost."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.lost = ""

    def finish(self) -> None:
        """Take no more cells, and leave when those that run have ended."""
        self.event.set()

    def lose(self, detail: str) -> None:
        """Leave at once: no cell can run here any more."""
        self.lost = self.lost or detail
        self.event.set()


class _Worker(distributed.Worker):
    """A worker that closes without waiting for its cells: `WorkerRuns` ends or finishes them."""

    async def close(  # type: ignore[override] # as Dask's own worker has it
        self,
        timeout: float = 30,
        executor_wait: bool = False,  # noqa: ARG002, FBT001, FBT002
        nanny: bool = True,  # noqa: FBT001, FBT002
        reason: str = "worker-close",
    ) -> str | None:
        return await super().close(timeout, executor_wait=False, nanny=nanny, reason=reason)


async def run_worker(
    options: WorkerOptions,
    runs: WorkerRuns,
    leave: LeaveRequest,
    folder: Path,
    report: Callable[[str], None],
) -> None:
    """Run cells for the scheduler until the request to leave; `report` gets status messages.

    Raises ClusterUnavailableError where the scheduler does not answer at first, or does not come
    back, and EngineUnavailableError where the worker's own engine is lost.
    """
    silence_dask()
    tidying = asyncio.create_task(_tidy(runs))
    since, timeout, connected = time.monotonic(), options.connect_seconds, False
    try:
        while not leave.event.is_set():
            worker = await _connect(options, folder)
            if worker is None:
                if time.monotonic() - since >= timeout:
                    raise _unavailable(options.address, timeout, was_connected=connected)
                with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
                    await asyncio.wait_for(leave.event.wait(), _RETRY_SECONDS)
                continue
            report(f"worker ready at {worker.address}")
            connected = True
            await _wait_for_end(worker, leave)
            if not leave.event.is_set():
                report("lost the scheduler: waiting for it to come back")
                since, timeout = time.monotonic(), options.return_seconds
            elif not leave.lost:
                await _finish(worker, runs)
            await worker.close()
    finally:
        tidying.cancel()
    if leave.lost:
        raise EngineUnavailableError(
            f"the container engine was lost: {leave.lost}",
            "Start it, and the worker again; its cells have gone to other workers.",
        )


async def _connect(options: WorkerOptions, folder: Path) -> _Worker | None:
    """Return a worker that the scheduler has accepted, None where it does not answer soon."""
    worker_class: Any = _Worker
    worker = worker_class(
        options.address,
        nthreads=options.slots,
        resources=dict(options.resources),
        memory_limit=0,  # the memory is used by the cells' own processes, which Dask does not see
        local_directory=str(folder),
        death_timeout=options.connect_seconds,
        host=options.host or None,
        dashboard=False,
    )
    try:
        await worker
    except (OSError, TimeoutError, asyncio.TimeoutError, RuntimeError, ValueError):
        with contextlib.suppress(Exception):
            await worker.close()
        return None
    return worker  # type: ignore[no-any-return]


async def _wait_for_end(worker: _Worker, leave: LeaveRequest) -> None:
    """Wait until the worker has closed, or is requested to leave."""
    finished: Any = worker.finished
    waits = {asyncio.ensure_future(finished()), asyncio.ensure_future(leave.event.wait())}
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)


async def _finish(worker: _Worker, runs: WorkerRuns) -> None:
    """Take no more cells, let those that run end, and let their results be fetched."""
    worker.status = Status.paused
    deadline = None
    while worker.status is Status.paused:
        if not runs.active:
            deadline = deadline or time.monotonic() + _FETCH_SECONDS
            if not worker.data or time.monotonic() > deadline:
                return
        await asyncio.sleep(_POLL_SECONDS)


async def _tidy(runs: WorkerRuns) -> None:
    while True:
        await asyncio.sleep(_TIDY_SECONDS)
        await asyncio.to_thread(runs.close_idle, _IDLE_SECONDS)


def _unavailable(address: str, seconds: float, *, was_connected: bool) -> ClusterUnavailableError:
    return ClusterUnavailableError(
        f"the scheduler at {address} did not come back within {seconds:g} s"
        if was_connected
        else f"no Dask scheduler answered at {address} within {seconds:g} s",
        "Start one on a machine that all others reach: dask scheduler",
    )
