"""POSIX only: our side of a guardian, which lives as long as we hold its standard input."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import sys
import threading
from pathlib import Path

if sys.platform == "win32":
    raise ImportError("POSIX only: a guardian is handed a lock that it holds further")

from matrix.places import project_root
from matrix.services.orders import Order
from matrix.services.servers import relevant_line

__all__ = ["Guarded"]

_CODE = (
    "import sys; sys.path.insert(0, sys.argv[1]);from matrix.services.guardian import main; main()"
)
_END_SECONDS = 20.0


class Guarded:
    """A guardian and its server, from when it is made until `close`."""

    def __init__(self, order: Order, lock: int) -> None:
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
