"""Slots for work that takes a whole CPU, one for each CPU, shared by all runs of a user here.

Apps that boot at the same time on one CPU all take longer, until they exceed their time limits;
nothing is gained by it. A slot is a lock on a file, which ends with the process that holds it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from matrix.system.paths import cache_dir

if TYPE_CHECKING:
    from filelock import BaseFileLock

WAIT_SECONDS = 60.0
"""How long to wait for a slot: work that holds one that long is not computing."""
_FIRST_POLL_SECONDS = 0.005
_POLL_SECONDS = 0.05


@dataclasses.dataclass(frozen=True)
class CpuSlots:
    """`count` slots, which are files in a folder. Picklable."""

    folder: Path
    count: int

    @contextlib.contextmanager
    def hold(self, seconds: float = WAIT_SECONDS) -> Iterator[float]:
        """Hold a slot while the block runs, and yield how many seconds it was waited for.

        After `seconds`, or where there can be no such file, the block runs without one.
        """
        began = time.monotonic()
        lock = self._acquire(began + seconds)
        try:
            yield time.monotonic() - began
        finally:
            if lock is not None:
                lock.release()

    def _acquire(self, until: float) -> BaseFileLock | None:
        import filelock  # noqa: PLC0415 - the recorder in a pod has it not, and takes no slots

        pause = _FIRST_POLL_SECONDS
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            while True:
                for number in range(self.count):
                    lock = filelock.FileLock(self.folder / f"cpu-{number}.lock")
                    with contextlib.suppress(filelock.Timeout):
                        lock.acquire(blocking=False)
                        return lock
                if time.monotonic() + pause > until:
                    return None
                time.sleep(pause)
                pause = min(2 * pause, _POLL_SECONDS)
        except OSError:  # a full disk, or one that is read-only
            return None


def machine_slots() -> CpuSlots:
    """Return the slots of this machine."""
    return CpuSlots(cache_dir() / "slots", cpu_count())


def cpu_count() -> int:
    """Return the number of CPUs that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
