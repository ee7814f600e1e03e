"""POSIX only: folders of services, one each, locked while its guardian lives.

What dead ones left is swept.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

if sys.platform == "win32":
    raise ImportError("POSIX only: the folders of services are locked by flock(2)")

import fcntl

from matrix.services.orders import MARK
from matrix.services.people import server_user

__all__ = ["new_folder", "servers_of", "sweep"]

# Short: a Unix socket's path has about a hundred characters.
_PREFIX = "matrix-service-"
_LOCK = "lock"


@contextlib.contextmanager
def new_folder(
    user: tuple[int, int] | None, below: Path | None = None
) -> Iterator[tuple[Path, int]]:
    """Yield a new folder of `user`, and the descriptor of its lock for who is to hold it further.

    Raises OSError. The folder stays.
    """
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=below))
    lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        _take(lock)
        # Whoever does not know its name finds nothing; the sockets in it are for those who do.
        folder.chmod(0o711)
        if user is not None:
            os.chown(folder, *user)
        yield folder, lock
    finally:
        os.close(lock)


def sweep(below: Path | None = None) -> int:
    """End and remove what services left whose guardian was killed; return how many."""
    count = 0
    for folder in (below or Path(tempfile.gettempdir())).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid not in _ours():
                continue
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
            try:
                _take(lock)
                for server in servers_of(folder):
                    os.kill(server, signal.SIGKILL)
                shutil.rmtree(folder, ignore_errors=True)
                count += 1
            finally:
                os.close(lock)
    return count


def _take(lock: int) -> None:
    """Take the lock; raise OSError where another has it."""
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _ours() -> set[int]:
    """Return us, and who runs servers for us where we are root."""
    user = server_user()
    return {os.geteuid(), *(user[:1] if user else ())}


def servers_of(folder: Path) -> list[int]:
    """Return the processes that were started for the folder, or work in it.

    Some write their title over the variables that they were started with.
    """
    wanted = f"{MARK}={folder}".encode()
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if folder in (work := (each / "cwd").readlink(), *work.parents) or wanted in (
                each / "environ"
            ).read_bytes().split(b"\0"):
                found.append(int(each.name))
    return found
