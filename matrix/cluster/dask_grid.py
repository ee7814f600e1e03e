"""A connection to a Dask scheduler, see https://distributed.dask.org/en/stable/client.html .

Its client's loop has a thread of its own; all calls of Dask are made there. Dask's client would
connect again by itself; here a connection that is lost stays lost, so that there is one place that
decides what is sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import uuid
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as TookTooLong
from typing import Any, TypeVar

import distributed
from distributed.scheduler import KilledWorker

from matrix.cluster.asked import Asked
from matrix.cluster.grid import Done, Failed, GridLostError, Killed, Outcome
from matrix.cluster.resources import Offer
from matrix.cluster.stations import end_run, run_cell
from matrix.verify.seams import Ran

__all__ = ["DaskGrid", "hush"]

_ASK_SECONDS = 30.0
_END_SECONDS = 10.0
_Answer = TypeVar("_Answer")


def hush() -> None:
    """Let Dask log nothing: what becomes of a connection is told in words of our own."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


class DaskGrid:
    """A `Grid`; raises GridLostError where no scheduler answers within `seconds`."""

    def __init__(self, address: str, seconds: float) -> None:
        hush()
        self._gone = self._closed = False
        self._offers: tuple[Offer, ...] = ()
        self._futures: dict[str, Any] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="dask", daemon=True)
        self._thread.start()
        try:
            self._client = self._call(self._connect(address, seconds), seconds + _END_SECONDS)
        except GridLostError:
            self._end_loop()
            raise

    def offers(self) -> Sequence[Offer]:
        """Return all workers that there are now."""
        return self._call(self._ask_offers(), _ASK_SECONDS)

    def submit(self, asked: Asked, needs: Mapping[str, float], priority: int, done: Done) -> None:
        """Send a cell to a worker that has what it needs."""
        self._check()
        asyncio.run_coroutine_threadsafe(self._run(asked, needs, priority, done), self._loop)

    def end(self, run: str) -> None:
        """Forget all cells of a run; the workers put away what they have of it, as it is."""
        with contextlib.suppress(GridLostError):
            self._call(self._end(run), _END_SECONDS)

    def close(self) -> None:
        """Leave the scheduler."""
        if self._closed:
            return
        self._closed = self._gone = True
        with contextlib.suppress(GridLostError):
            self._call(self._close(), _END_SECONDS)
        self._end_loop()

    async def _connect(self, address: str, seconds: float) -> Any:  # noqa: ANN401 - Dask has no types
        make: Any = distributed.Client
        return await make(
            address, timeout=seconds, asynchronous=True, set_as_default=False, name="compat-matrix"
        )

    async def _close(self) -> None:
        await self._client.close()

    async def _ask_offers(self) -> tuple[Offer, ...]:
        self._check()
        scheduler = self._client.scheduler
        # Who there is, is a short answer; what they are is a long one.
        running = await scheduler.ncores_running()
        there = {address: address in running for address in await scheduler.ncores()}
        if there != {offer.address: offer.slots > 0 for offer in self._offers}:
            said = await scheduler.identity()
            self._offers = tuple(
                Offer(
                    address,
                    int(worker["nthreads"]) if worker["status"] == "running" else 0,
                    dict(worker["resources"]),
                )
                for address, worker in sorted(said["workers"].items())
            )
        return self._offers

    async def _run(
        self, asked: Asked, needs: Mapping[str, float], priority: int, done: Done
    ) -> None:
        key = f"cell-{uuid.uuid4().hex}-{asked.planned.cell.id}"
        outcome: Outcome | GridLostError
        try:
            self._check()
            future = self._futures[key] = self._client.submit(
                run_cell, asked, key=key, resources=dict(needs), priority=priority, pure=False
            )
            answer = await future
            outcome = answer if isinstance(answer, Ran) else Failed(f"it answered {answer!r:.200}")
        except KilledWorker as error:
            outcome = Killed(str(error))
        except CancelledError:  # whose words are for who programs with Dask
            outcome = GridLostError("the connection to it was lost")
        except (GridLostError, OSError) as error:
            outcome = GridLostError(str(error) or type(error).__name__)
        except Exception as error:  # noqa: BLE001 - whatever was raised there comes back here
            outcome = Failed(f"{type(error).__name__}: {error}")
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
            raise GridLostError("it does not answer")

    def _call(self, asked: Coroutine[Any, Any, _Answer], seconds: float) -> _Answer:
        """Run on the loop's thread; raise GridLostError for all that can be the connection's."""
        future = asyncio.run_coroutine_threadsafe(asked, self._loop)
        try:
            return future.result(seconds)
        except (TookTooLong, TimeoutError) as error:
            future.cancel()
            raise GridLostError("it does not answer in time") from error
        except (OSError, CancelledError, ValueError, RuntimeError) as error:
            raise GridLostError(str(error) or type(error).__name__) from error

    def _end_loop(self) -> None:
        with contextlib.suppress(GridLostError):
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
