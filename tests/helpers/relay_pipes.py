"""A relay that an interpreter of this machine runs, without a container."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from matrix.cells.relay import RelayClient
from matrix.system.paths import fixtures_dir

RELAY = fixtures_dir() / "cell" / "relay.py"


class ProcessPipe:
    """A `Pipe` to a process of this machine."""

    def __init__(self, python: Path = Path(sys.executable)) -> None:
        self.process = subprocess.Popen(
            [str(python), "-S", "-E", "-B", str(RELAY)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        self._errors = bytearray()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self.process.stdin.fileno(), view) :]
        except ValueError as error:
            raise OSError("closed") from error

    def read(self) -> bytes:
        assert self.process.stdout is not None
        return os.read(self.process.stdout.fileno(), 1 << 16)

    @property
    def errors(self) -> str:
        self._listener.join(1)
        return self._errors.decode()

    def close(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()

    def end(self) -> int:
        """Close it all; return the exit code."""
        self.close()
        code = self.process.wait(10)
        self._listener.join()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.stdout.close()
        self.process.stderr.close()
        return code

    def _listen(self) -> None:
        assert self.process.stderr is not None
        while piece := os.read(self.process.stderr.fileno(), 4096):
            self._errors += piece


@contextlib.contextmanager
def running_relay(python: Path = Path(sys.executable)) -> Iterator[tuple[RelayClient, ProcessPipe]]:
    """Yield the client of a relay that has started, and its pipe."""
    pipe = ProcessPipe(python)
    relay = RelayClient(pipe)
    try:
        relay.wait_hello(20)
        yield relay, pipe
    finally:
        relay.close()
        pipe.end()
