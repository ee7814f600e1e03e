"""A connection to a Dask scheduler, see https://distributed.dask.org/en/stable/client.html .

Its client's loop has a thread of its own; all calls of Dask are made there. Dask's client would
connect again by itself; here a connection that is lost stays lost, so that there is one place that
decides what is sent again.

The seam to what sends cells to workers: Dask, or a fake in tests.

Addresses of schedulers, and what to say where Dask is not installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import threading
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as TookTooLong
from typing import Any, Protocol, TypeVar

import distributed
from distributed.scheduler import KilledWorker

from matrix.distributed.dask.resources import WorkerOffer
from matrix.distributed.dask.task import Task
from matrix.distributed.dask.worker_run import end_run, run_cell
from matrix.errors import UsageError
from matrix.runs.interfaces import RemoteResult

__all__ = [
    "NO_DISTRIBUTED",
    "ClusterLostError",
    "Connect",
    "DaskClient",
    "Done",
    "Outcome",
    "TaskClient",
    "TaskFailed",
    "TaskKilled",
    "checked_address",
    "hush",
]


class ClusterLostError(Exception):
    """The scheduler does not answer, or has gone."""


@dataclasses.dataclass(frozen=True)
class TaskKilled:
    """The workers that had the cell died one after the other; the scheduler tries no more."""

    detail: str


@dataclasses.dataclass(frozen=True)
class TaskFailed:
    """Something of ours went wrong on the worker, which was to answer in any case."""

    detail: str


Outcome = RemoteResult | TaskKilled | TaskFailed
Done = Callable[[Outcome | ClusterLostError], None]
"""Takes how a cell ended, or that the connection was lost; called in any thread."""


class TaskClient(Protocol):
    """One connection to one scheduler; it does not come back when it is lost."""

    def offers(self) -> Sequence[WorkerOffer]:
        """Return all workers that there are now; raise GridLostError.

        One that is about to leave has no slots: it takes no cell, and ends those that it has.
        """
        ...

    def submit(self, asked: Task, needs: Mapping[str, float], priority: int, done: Done) -> None:
        """Send a cell to a worker that has what it needs; raise GridLostError."""
        ...

    def end(self, run: str) -> None:
        """Forget all cells of a run; the workers put away what they have of it, as it is."""
        ...

    def close(self) -> None:
        """Leave the scheduler."""
        ...


Connect = Callable[[], TaskClient]
"""Connects to the scheduler; raises GridLostError soon where it does not answer."""


_ASK_SECONDS = 30.0
_END_SECONDS = 10.0
_Answer = TypeVar("_Answer")


def hush() -> None:
    """Let Dask log nothing: what becomes of a connection is told in words of our own."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


class DaskClient:
    """A `TaskClient`; raises GridLostError where no scheduler answers within `seconds`."""

    def __init__(self, address: str, seconds: float) -> None:
        hush()
        self._gone = self._closed = False
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
        """Return all workers that there are now."""
        return self._call(self._ask_offers(), _ASK_SECONDS)

    def submit(self, asked: Task, needs: Mapping[str, float], priority: int, done: Done) -> None:
        """Send a cell to a worker that has what it needs."""
        self._check()
        asyncio.run_coroutine_threadsafe(self._run(asked, needs, priority, done), self._loop)

    def end(self, run: str) -> None:
        """Forget all cells of a run; the workers put away what they have of it, as it is."""
        with contextlib.suppress(ClusterLostError):
            self._call(self._end(run), _END_SECONDS)

    def close(self) -> None:
        """Leave the scheduler."""
        if self._closed:
            return
        self._closed = self._gone = True
        with contextlib.suppress(ClusterLostError):
            self._call(self._close(), _END_SECONDS)
        self._end_loop()

    async def _connect(self, address: str, seconds: float) -> Any:  # noqa: ANN401 - Dask has no types
        make: Any = distributed.Client
        return await make(
            address, timeout=seconds, asynchronous=True, set_as_default=False, name="compat-matrix"
        )

    async def _close(self) -> None:
        await self._client.close()

    async def _ask_offers(self) -> tuple[WorkerOffer, ...]:
        self._check()
        scheduler = self._client.scheduler
        # Who there is, is a short answer; what they are is a long one.
        running = await scheduler.ncores_running()
        there = {address: address in running for address in await scheduler.ncores()}
        if there != {offer.address: offer.slots > 0 for offer in self._offers}:
            said = await scheduler.identity()
            self._offers = tuple(
                WorkerOffer(
                    address,
                    int(worker["nthreads"]) if worker["status"] == "running" else 0,
                    dict(worker["resources"]),
                )
                for address, worker in sorted(said["workers"].items())
            )
        return self._offers

    async def _run(
        self, asked: Task, needs: Mapping[str, float], priority: int, done: Done
    ) -> None:
        key = f"cell-{uuid.uuid4().hex}-{asked.planned.cell.id}"
        outcome: Outcome | ClusterLostError
        try:
            self._check()
            future = self._futures[key] = self._client.submit(
                run_cell, asked, key=key, resources=dict(needs), priority=priority, pure=False
            )
            answer = await future
            outcome = (
                answer
                if isinstance(answer, RemoteResult)
                else TaskFailed(f"it answered {answer!r:.200}")
            )
        except KilledWorker as error:
            outcome = TaskKilled(str(error))
        except CancelledError:  # whose words are for who programs with Dask
            outcome = ClusterLostError("the connection to it was lost")
        except (ClusterLostError, OSError) as error:
            outcome = ClusterLostError(str(error) or type(error).__name__)
        except Exception as error:  # noqa: BLE001 - whatever was raised there comes back here
            outcome = TaskFailed(f"{type(error).__name__}: {error}")
        self._futures.pop(key, None)
        done(outcome)

    async def _end(self, run: str) -> None:
        self._check()
        await self._client.cancel(list(self._futures.values()), force=True)
        ours = [offer.address for offer in self._offers if offer.version]
        await self._client.run(end_run, run, workers=ours, on_error="ignore")

    def _check(self) -> None:
        client = getattr(self, "_client", None)
        if self._gone or client is None or client.status != "running":
            self._gone = True
            raise ClusterLostError("it does not answer")

    def _call(self, asked: Coroutine[Any, Any, _Answer], seconds: float) -> _Answer:
        """Run on the loop's thread; raise GridLostError for all that can be the connection's."""
        future = asyncio.run_coroutine_threadsafe(asked, self._loop)
        try:
            return future.result(seconds)
        except (TookTooLong, TimeoutError) as error:
            future.cancel()
            raise ClusterLostError("it does not answer in time") from error
        except (OSError, CancelledError, ValueError, RuntimeError) as error:
            raise ClusterLostError(str(error) or type(error).__name__) from error

    def _end_loop(self) -> None:
        with contextlib.suppress(ClusterLostError):
            self._call(_cancel_others(), _END_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_END_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()


async def _cancel_others() -> None:
    """End what is left on the loop, so that nothing complains of not having been waited for."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


NO_DISTRIBUTED = (
    "It is an optional extra: pip install 'compat-matrix[cluster]'. nox installs it by itself."
)
# https://distributed.dask.org/en/stable/communications.html
_SCHEMES = ("tcp", "tls", "ws", "wss")


def checked_address(address: str) -> str:
    """Return an address of a scheduler as it is; raise UsageError for what is none."""
    scheme, separator, rest = address.partition("://")
    if scheme not in _SCHEMES or not separator or not rest:
        raise UsageError(
            f"{address!r} is no address of a Dask scheduler", "Such as tcp://192.0.2.1:8786"
        )
    return address
