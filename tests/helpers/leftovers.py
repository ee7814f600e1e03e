"""Nothing stays behind: processes, folders for temporary files, and mounts that a test left.

Each process of pytest has a folder of its own for temporary files, and on Linux adopts whatever it
or its descendants started and did not end: https://man7.org/linux/man-pages/man2/prctl.2.html
(PR_SET_CHILD_SUBREAPER). So parallel tests, and other programs, are not mistaken for leftovers.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from helpers.processes import children_of, kill, wait_until

__all__ = ["Leftovers", "adopt_orphans", "own_temporary_folder"]

_PR_SET_CHILD_SUBREAPER = 36
# These are shared by all tests of a process, and end with it.
_SHARED = ("multiprocessing.resource_tracker", "matrix.system.launcher")


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends; Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@contextlib.contextmanager
def own_temporary_folder() -> Iterator[Path]:
    """Yield a new folder for the temporary files of this process and of those that it starts.

    Its name is short, as paths of Unix sockets are. The folders of pytest stay where they were.
    """
    before = {name: os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")}
    top = tempfile.gettempdir()
    folder = Path(tempfile.mkdtemp(prefix="t-"))
    folder.chmod(0o711)  # Servers of other users have their folders in it.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", top)
    os.environ.update(dict.fromkeys(before, str(folder)))
    tempfile.tempdir = None
    try:
        yield folder
    finally:
        tempfile.tempdir = None
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        shutil.rmtree(folder, ignore_errors=True)


class Leftovers:
    """What was added to the children, temporary files and mounts of this process since `start`.

    A fixture of a module may start what ends with the module. So tests only `note` what there is
    after them, and `end` tells which of it is still there, and which test was the first to have it.
    """

    def __init__(self, mounts_below: Path, patience: float = 5.0) -> None:
        self._patience = patience
        self._mounts_below = str(mounts_below)
        self._before = self._now()
        self._notes: dict[str, str] = {}

    def note(self, test: str) -> None:
        """Remember that what is new was there after a test."""
        for item in self._added():
            self._notes.setdefault(item, test)

    def end(self) -> list[str]:
        """Return what is left, in words, with the tests that left it, and remove it.

        What ends has `patience`, in seconds, to do so.
        """
        wait_until(lambda: not self._added(), self._patience)
        added = self._added()
        left = [f"{what}, since {self._notes.get(item, 'the end')}" for item, what in added.items()]
        for pid in children_of(os.getpid()):
            if f"process {pid}" in added:
                kill(pid)
        for path in Path(tempfile.gettempdir()).iterdir():
            if f"temporary {path.name}" in added:
                shutil.rmtree(path, ignore_errors=True)
        return left

    def _added(self) -> dict[str, str]:
        return {item: what for item, what in self._now().items() if item not in self._before}

    def _now(self) -> dict[str, str]:
        """Return what there is by its identity, with a description."""
        processes = {pid: _command(pid) for pid in children_of(os.getpid())}
        return {
            **{
                f"process {pid}": f"the process {pid}: {command[:300]}"
                for pid, command in processes.items()
                if command and not any(shared in command for shared in _SHARED)
            },
            **{
                f"temporary {path.name}": f"{path.name} in the folder of temporary files"
                for path in Path(tempfile.gettempdir()).iterdir()
            },
            **{
                f"mount {place}": f"the mount {place}"
                for place in _mounts()
                if place.startswith((self._mounts_below, tempfile.gettempdir()))
            },
        }


def _command(pid: int) -> str:
    try:
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    except OSError:
        return ""


def _mounts() -> list[str]:
    """Return where something is mounted; on Linux only."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [line.split(" ")[4] for line in lines]
