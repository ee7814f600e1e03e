"""Many wheels looked into, a few at a time; one that cannot be read does not stop the others."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from matrix.artifacts.contents import Contents
from matrix.artifacts.keeping import Kept
from matrix.artifacts.limits import Limits
from matrix.artifacts.looking import Shared, look
from matrix.artifacts.refusing import BadArtifactError
from matrix.artifacts.remote import RemoteFile
from matrix.artifacts.transport import Transport
from matrix.model.index import File

__all__ = ["Gathered", "gather"]

_AT_ONCE = 4


@dataclasses.dataclass(frozen=True)
class Gathered:
    """What became known. `refused` are wheels that could not be read, `left` those not reached.

    `fetched` counts bytes; what was kept from before costs none.
    """

    contents: tuple[Contents, ...]
    refused: tuple[BadArtifactError, ...] = ()
    left: tuple[str, ...] = ()
    fetched: int = 0


def gather(  # noqa: PLR0913 - each has a default that is right
    files: Sequence[File],
    kept: Kept,
    transport: Transport,
    *,
    whole: Sequence[str] = (),
    limits: Limits | None = None,
    seconds: float = 1800.0,
    offline: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Gathered:
    """Return what is in these wheels, in their order; stop to begin new ones after `seconds`.

    A wheel of which something is known is not fetched, and `offline` fetches none. `tell` is called
    with the name of each wheel that is done, from the caller's own thread.
    """
    known = {file.filename: kept.find(file.sha256) for file in _distinct(files)}
    missing = [file for file in _distinct(files) if known[file.filename] is None]
    refused: list[BadArtifactError] = []
    left: list[str] = [file.filename for file in missing] if offline else []
    fetched = 0
    shared = Shared()
    bounds = limits or Limits()
    end = time.monotonic() + seconds

    def one(file: File) -> tuple[Contents, int]:
        stream = RemoteFile(file.url, file.filename, transport, bounds, file.sha256)
        with stream:
            found = look(
                *(file.filename, file.sha256, stream),
                whole=whole,
                limits=bounds,
                kept=kept,
                shared=shared,
            )
            return found, stream.fetched

    queue = [] if offline else list(reversed(missing))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        running: dict[Future[tuple[Contents, int]], File] = {}
        while queue or running:
            while queue and len(running) < _AT_ONCE and time.monotonic() < end:
                file = queue.pop()
                running[pool.submit(one, file)] = file
            if not running:
                left.extend(file.filename for file in reversed(queue))
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                file = running.pop(future)
                try:
                    known[file.filename], count = future.result()
                    fetched += count
                except BadArtifactError as error:
                    refused.append(error)
                tell(file.filename)
    return Gathered(
        contents=tuple(found for found in known.values() if found is not None),
        refused=tuple(sorted(refused, key=lambda error: error.source)),
        left=tuple(left),
        fetched=fetched,
    )


def _distinct(files: Iterable[File]) -> Iterable[File]:
    return {file.filename: file for file in files}.values()
