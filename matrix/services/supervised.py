"""POSIX only: our side of a guardian, which lives as long as we hold its standard input.

POSIX only: who runs servers, as many refuse to be run by root.

POSIX only: folders of services, one each, locked while its guardian lives.

What dead ones left is swept.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

if sys.platform == "win32":
    raise ImportError("POSIX only: a guardian is handed a lock that it holds further")

import fcntl
import pwd

from matrix.services.server import MARK, ServerSpec, relevant_line
from matrix.system.paths import project_root

__all__ = ["SupervisedServer", "new_folder", "server_user", "servers_of", "sweep"]

_CODE = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from matrix.services.supervisor import main; main()"
)
_END_SECONDS = 20.0


class SupervisedServer:
    """A guardian and its server, from when it is made until `close`."""

    def __init__(self, order: ServerSpec, lock: int) -> None:
        """Start it; `lock` is a descriptor that it holds as long as it lives. Raises OSError."""
        self._folder = Path(order.folder)
        self._changed = threading.Condition()
        self._started = False
        self._failed: str | None = None
        self.network = ""
        # What it says itself goes to the log of its server.
        with (self._folder / "log").open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-B", "-c", _CODE, str(project_root())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                pass_fds=(lock,),
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, name="guardian", daemon=True)
        self._reader.start()
        with contextlib.suppress(OSError):  # it is dead already, which is seen elsewhere
            assert self._process.stdin is not None  # noqa: S101 - a pipe, as asked for above
            self._process.stdin.write(json.dumps(dataclasses.asdict(order)).encode() + b"\n")
            self._process.stdin.flush()

    @property
    def failed(self) -> str | None:
        """Why the server is not, or not any more; None while all is well."""
        return self._failed

    def wait_started(self, seconds: float) -> bool:
        """Return whether the server was started in time; not yet whether it answers."""
        with self._changed:
            self._changed.wait_for(lambda: self._started or self._failed is not None, seconds)
            return self._started and self._failed is None

    def wait_failed(self, seconds: float) -> str | None:
        """Return why the server is not any more, None where it is not told in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._failed is not None, seconds)
            return self._failed

    def let_go(self) -> None:
        """Let it end the server, some time soon."""
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None  # noqa: S101 - a pipe, as asked for above
            self._process.stdin.close()

    def close(self) -> None:
        """Wait until it has ended the server and itself."""
        self.let_go()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None  # noqa: S101 - a pipe, as asked for above
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - a pipe, as asked for above
        for line in self._process.stdout:
            said = json.loads(line)
            with self._changed:
                if said["event"] == "network":
                    self.network = said["words"]
                elif said["event"] == "started":
                    self._started = True
                else:
                    self._failed = self._failed or self._with_log(said["words"])
                self._changed.notify_all()
        with self._changed:
            self._failed = self._failed or self._with_log("its guardian ended")
            self._changed.notify_all()

    def _with_log(self, words: str) -> str:
        line = relevant_line(self._folder / "log")
        return f"{words}: {line}" if line else words


_NOBODY = "nobody"


def server_user() -> tuple[int, int] | None:
    """Return user and group to run servers as where we are root, else None: as ourselves."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(_NOBODY)
    return entry.pw_uid, entry.pw_gid


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
