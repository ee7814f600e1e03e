"""POSIX only: servers under a supervisor, each in a locked folder.

A supervisor runs as long as its standard input is open. It inherits the lock of its server's
folder, so `sweep` can tell the folders of supervisors that were killed.
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
    raise ImportError("POSIX only: a supervisor inherits a lock")

import fcntl
import pwd

from matrix.services.server import FOLDER_VARIABLE, Server, ServerSpec
from matrix.system.paths import project_root

_SUPERVISOR_CODE = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from matrix.services.supervisor import main; main()"
)
_END_SECONDS = 20.0
_USER = "nobody"
# Short, as a Unix socket's path is limited to about a hundred characters.
_PREFIX = "matrix-service-"
_LOCK = "lock"


class SupervisedServer(Server):
    """A supervisor process and its server, until `close`."""

    def __init__(self, spec: ServerSpec, lock: int) -> None:
        """Start the supervisor, which inherits the descriptor `lock`. Raises OSError."""
        super().__init__(Path(spec.folder) / "log")
        # The supervisor's own errors go to the log of its server.
        with self._log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-B", "-c", _SUPERVISOR_CODE, str(project_root())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                pass_fds=(lock,),
                start_new_session=True,
            )
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None  # noqa: S101 - a pipe, see above
        assert stdout is not None  # noqa: S101
        self._stdin, self._stdout = stdin, stdout
        self._reader = threading.Thread(target=self._read, name="supervisor", daemon=True)
        self._reader.start()
        with contextlib.suppress(OSError):  # it has ended already, which `_read` reports
            stdin.write(json.dumps(dataclasses.asdict(spec)).encode() + b"\n")
            stdin.flush()

    def release(self) -> None:
        """Let the supervisor end the server soon, without waiting for that."""
        with contextlib.suppress(OSError):
            self._stdin.close()

    def close(self) -> None:
        """End the server, and wait until the supervisor has ended."""
        self.release()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._stdout.close()

    def _read(self) -> None:
        for line in self._stdout:
            message = json.loads(line)
            if message["event"] == "started":
                self._report_start()
            else:
                self._report_failure(message["detail"])
        self._report_failure("its supervisor ended")


def server_user() -> tuple[int, int] | None:
    """Return the uid and gid for servers where we are root, as many refuse to run as root.

    None means the current user.
    """
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(_USER)
    return entry.pw_uid, entry.pw_gid


@contextlib.contextmanager
def new_folder(
    user: tuple[int, int] | None, below: Path | None = None
) -> Iterator[tuple[Path, int]]:
    """Yield a new folder of `user`, and the descriptor of its lock, which a child may inherit.

    The folder is not removed. Raises OSError.
    """
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=below))
    lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        _acquire(lock)
        # Other users cannot list the folder, but can reach sockets in it whose names they know.
        folder.chmod(0o711)
        if user is not None:
            os.chown(folder, *user)
        yield folder, lock
    finally:
        os.close(lock)


def sweep(below: Path | None = None) -> int:
    """End servers whose supervisor was killed, remove their folders, and return how many."""
    count = 0
    user = server_user()
    owners = {os.geteuid(), *(user[:1] if user else ())}
    for folder in (below or Path(tempfile.gettempdir())).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid not in owners:
                continue
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
            try:
                _acquire(lock)
                for server in servers_of(folder):
                    os.kill(server, signal.SIGKILL)
                shutil.rmtree(folder, ignore_errors=True)
                count += 1
            finally:
                os.close(lock)
    return count


def servers_of(folder: Path) -> list[int]:
    """Return the processes that were started for the folder, or whose working directory it is.

    The latter are needed, as some programs write their title over their environment.
    """
    variable = f"{FOLDER_VARIABLE}={folder}".encode()
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            cwd = (process / "cwd").readlink()
            if folder in (cwd, *cwd.parents) or variable in (
                process / "environ"
            ).read_bytes().split(b"\0"):
                pids.append(int(process.name))
    return pids


def _acquire(lock: int) -> None:
    """Lock the file; raise OSError where another process has it locked."""
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
