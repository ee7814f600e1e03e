"""Inspection of many wheels at a time, batch by batch, with the next batches fetched ahead.

Threads wait for the network; one wheel that cannot be read does not stop the others. What comes
back has the order of the files that were asked for, whatever the threads do.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, as_completed
from typing import TypeVar

from matrix.model.index import File
from matrix.pypi.inspect import SharedResults, WheelCache, inspect_wheel
from matrix.pypi.remote_file import (
    MOST_CONNECTIONS,
    BadArtifactError,
    RemoteFile,
    Transport,
    WheelLimits,
)
from matrix.pypi.wheel_contents import WheelContents

T = TypeVar("T")

# The batches that are in memory: the one that is waited for, and those that are fetched ahead.
_OPEN_BATCHES = 3


@dataclasses.dataclass(frozen=True)
class WheelInspection:
    """The contents of wheels; `refused` could not be read, `skipped` were not reached.

    `fetched` is the number of bytes received.
    """

    contents: tuple[WheelContents, ...]
    refused: tuple[BadArtifactError, ...] = ()
    skipped: tuple[str, ...] = ()
    fetched: int = 0


class _Threads:
    """Threads that call functions, first come, first served; stopped without waiting for them.

    Those of the standard library's executor would be waited for at the end of the process: for the
    time of a whole request, after Ctrl-C. Nothing is lost: what a thread stores is whole or absent.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._threads: list[threading.Thread] = []
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._stopped = threading.Event()

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """Return the future result of the function."""
        future: Future[T] = Future()

        def call() -> None:
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 - raised where the result is used
                future.set_exception(error)

        self._calls.put(call)
        if len(self._threads) < self._most:
            thread = threading.Thread(target=self._run, name="wheels", daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def stop(self) -> None:
        """Start no further call; each thread ends with the one that it runs."""
        self._stopped.set()
        for _ in self._threads:
            self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None and not self._stopped.is_set():
            call()


@dataclasses.dataclass(frozen=True)
class _Batch:
    """The files of a batch by name, with what the cache has, and what threads inspect."""

    cached: dict[str, WheelContents | None]
    running: dict[Future[tuple[WheelContents, int] | None], str]
    skipped: tuple[str, ...]

    def wait(self, report: Callable[[str], None]) -> WheelInspection:
        """Return the inspection when all its wheels are done."""
        contents, refused, late, fetched = dict(self.cached), [], set(self.skipped), 0
        for name, found in self.cached.items():
            if found is not None:
                report(name)
        for future in as_completed(self.running):
            name = self.running[future]
            try:
                result = future.result()
            except BadArtifactError as error:
                refused.append(error)
            else:
                if result is None:
                    late.add(name)
                    continue
                contents[name], count = result
                fetched += count
            report(name)
        return WheelInspection(
            contents=tuple(item for item in contents.values() if item is not None),
            refused=tuple(sorted(refused, key=lambda error: error.source)),
            skipped=tuple(name for name in self.cached if name in late),
            fetched=fetched,
        )


def inspect_batches(  # noqa: PLR0913 - each has a default that is right
    batches: Iterable[Sequence[File]],
    open_cache: Callable[[], WheelCache],
    transport: Transport,
    *,
    whole: Sequence[str] = (),
    limits: WheelLimits | None = None,
    seconds: float = 1800.0,
    offline: bool = False,
    report: Callable[[str], None] = lambda _: None,
) -> Generator[WheelInspection, None, None]:
    """Yield the contents of the wheels of each batch, in their order; close it to stop early.

    No wheel is started after `seconds`. Cached wheels are not fetched, and `offline` fetches none.
    A batch has a cache of its own, as that keeps what it decodes. `report` is called with the name
    of each wheel that is done, from the caller's thread, a batch's cached ones first.
    """
    limits, shared = limits or WheelLimits(), SharedResults()
    end = time.monotonic() + seconds
    threads = _Threads(MOST_CONNECTIONS)

    def inspect(file: File, cache: WheelCache) -> tuple[WheelContents, int] | None:
        if time.monotonic() >= end:
            return None
        with RemoteFile(file.url, file.filename, transport, limits, file.sha256) as stream:
            inspected = inspect_wheel(
                *(file.filename, file.sha256, stream),
                whole=whole,
                limits=limits,
                cache=cache,
                shared=shared,
            )
            return inspected, stream.fetched

    def open_batch(files: Sequence[File]) -> _Batch:
        cache = open_cache()
        distinct = {file.filename: file for file in files}
        cached = {name: cache.find(file.sha256) for name, file in distinct.items()}
        missing = [file for name, file in distinct.items() if cached[name] is None]
        if offline:
            return _Batch(cached, {}, tuple(file.filename for file in missing))
        running = {
            threads.submit(functools.partial(inspect, file, cache)): file.filename
            for file in missing
        }
        return _Batch(cached, running, ())

    waiting = iter(batches)
    opened: collections.deque[_Batch] = collections.deque()
    try:
        while True:
            for files in itertools.islice(waiting, _OPEN_BATCHES - len(opened)):
                opened.append(open_batch(files))
            if not opened:
                return
            yield opened.popleft().wait(report)
    finally:
        threads.stop()


def inspect_wheels(  # noqa: PLR0913 - as above
    files: Sequence[File],
    cache: WheelCache,
    transport: Transport,
    *,
    whole: Sequence[str] = (),
    limits: WheelLimits | None = None,
    seconds: float = 1800.0,
    offline: bool = False,
    report: Callable[[str], None] = lambda _: None,
) -> WheelInspection:
    """Return the contents of these wheels, one batch of `inspect_batches`."""
    (inspection,) = inspect_batches(
        *([files], lambda: cache, transport),
        whole=whole,
        limits=limits,
        seconds=seconds,
        offline=offline,
        report=report,
    )
    return inspection
