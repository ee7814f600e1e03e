"""Our side of a guardian: it lives as long as we hold its standard input."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Protocol

from matrix.places import project_root
from matrix.services.guardian import Order

__all__ = ["Guarded", "Server", "relevant_line"]

_CODE = (
    "import sys; sys.path.insert(0, sys.argv[1]);from matrix.services.guardian import main; main()"
)
_END_SECONDS = 20.0
_LOG_TAIL = 65_536
_LINE_WORDS = 300
_TELLING = re.compile(
    r"fatal|error|panic|denied|refused|cannot|can't|could not|failed|in use|not found|no space",
    re.IGNORECASE,
)


class Server(Protocol):
    """A server that was started, whoever keeps it; see `Guarded`."""

    @property
    def failed(self) -> str | None:
        """Why it is not, or not any more; None while all is well."""

    def wait_started(self, seconds: float) -> bool:
        """Return whether it was started in time; not yet whether it answers."""

    def wait_failed(self, seconds: float) -> str | None:
        """Return why it is not any more, None where it is not told in time."""

    def let_go(self) -> None:
        """Let it end, some time soon."""

    def close(self) -> None:
        """Wait until it has ended."""


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


def relevant_line(log: Path) -> str:
    """Return the last line that tells of something wrong, the very last where none does."""
    try:
        with log.open("rb") as file:
            file.seek(max(log.stat().st_size - _LOG_TAIL, 0))
            text = file.read(_LOG_TAIL).decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)]
    return (telling or lines or [""])[-1][:_LINE_WORDS]
