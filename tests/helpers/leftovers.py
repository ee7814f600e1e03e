"""Nothing stays behind: processes, folders for temporary files, and mounts that a test left.

Each process of pytest has a folder of its own for temporary files, and on Linux adopts whatever it
or its descendants started and did not end: https://man7.org/linux/man-pages/man2/prctl.2.html
(PR_SET_CHILD_SUBREAPER). So parallel tests, and other programs, are not mistaken for leftovers.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from helpers.processes import children_of, kill, wait_until

__all__ = ["Leftovers", "adopt_orphans", "own_temporary_folder"]

_PR_SET_CHILD_SUBREAPER = 36
_PATIENCE_SECONDS = 5.0
# These are shared by all tests of a process, and end with it.
_SHARED = (b"multiprocessing.resource_tracker", b"matrix.system.launcher")


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


@dataclasses.dataclass(frozen=True)
class Leftovers:
    """What there is of this process: its children, entries of its temporary folder, and mounts."""

    processes: frozenset[int]
    folders: frozenset[str]
    mounts: frozenset[str]

    @classmethod
    def now(cls) -> Leftovers:
        """Return what there is now; processes and mounts on Linux only."""
        folders = frozenset(path.name for path in Path(tempfile.gettempdir()).iterdir())
        return cls(frozenset(children_of(os.getpid())), folders, _mounts())

    def since(self) -> list[str]:
        """Return what has been added since, in words, and remove it; ends take some seconds."""
        if not self._added():
            return []
        wait_until(lambda: not self._added(), _PATIENCE_SECONDS)
        left = self._added()
        for pid in Leftovers.now().processes - self.processes:
            with contextlib.suppress(OSError):
                kill(pid)
        for name in Leftovers.now().folders - self.folders:
            shutil.rmtree(Path(tempfile.gettempdir(), name), ignore_errors=True)
        return left

    def _added(self) -> list[str]:
        now = Leftovers.now()
        processes = {pid: _command(pid) for pid in now.processes - self.processes}
        return [
            *(
                f"process {pid}: {command.replace(bytes(1), b' ').decode(errors='replace')[:300]}"
                for pid, command in processes.items()
                if command and not any(shared in command for shared in _SHARED)
            ),
            *(f"temporary file or folder {name}" for name in now.folders - self.folders),
            *(f"mount {place}" for place in now.mounts - self.mounts),
        ]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _mounts() -> frozenset[str]:
    """Return the places below the temporary folders where something is mounted."""
    tops = (tempfile.gettempdir(), os.environ.get("PYTEST_DEBUG_TEMPROOT", "/nowhere") + "/pytest-")
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    places = (line.split(" ")[4] for line in lines)
    return frozenset(place for place in places if place.startswith(tops))
