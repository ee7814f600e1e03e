"""A container engine of the tests' own, to kill and to restrict, where one can be started."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from helpers.processes import gone, kill

__all__ = ["OwnEngine", "obstacle", "own_engine"]


def obstacle() -> str:
    """Return why no engine can be started here, "" where one can be."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "starting an engine of our own takes root"
    if shutil.which("dockerd") is None:
        return "there is no dockerd on PATH to start an engine of our own with"
    return ""


class OwnEngine:
    """A dockerd with its own folders, without a bridge; `host` is its DOCKER_HOST."""

    def __init__(self, folder: Path, *prefix: str, listen: str = "") -> None:
        """`prefix` comes before its command line."""
        self.folder = folder
        self.host = listen or f"unix://{folder}/docker.sock"
        self._prefix = prefix
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [
            *self._prefix,
            *("dockerd", "--data-root", str(self.folder / "data")),
            *("--exec-root", str(self.folder / "exec"), "--pidfile", str(self.folder / "pid")),
            *("--host", self.host, "--bridge", "none", "--iptables=false", "--ip-masq=false"),
            *("--log-level", "warn"),
        ]
        # A killed one leaves its pid file behind, and would not start again.
        (self.folder / "pid").unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((self.folder / "log").read_text())
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill the daemon alone: its containers keep running."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None
        # The kernel signals its containerd, which ends, too. An engine that is started before that
        # tries to use it, and fails.
        with contextlib.suppress(OSError, ValueError):
            containerd = int((self.folder / "exec" / "containerd" / "containerd.pid").read_text())
            deadline = time.monotonic() + 20
            # Where we adopt orphans it is our child, and stays as a zombie until it is waited for.
            while not gone(containerd) and time.monotonic() < deadline:
                time.sleep(0.02)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(containerd, 0)

    def stop(self) -> None:
        """End it and all that it started."""
        if self._process is None:
            self.start()  # it can best end its own leftovers
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._clear()

    def _clear(self) -> None:
        """End the processes that a killed daemon has lost, and remove its mounts."""
        for command_line in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if f"{self.folder}/exec/containerd/".encode() in command_line.read_bytes():
                    kill(int(command_line.parent.name))
        for line in reversed(Path("/proc/mounts").read_text().splitlines()):
            mount_point = line.split()[1]
            if mount_point.startswith(f"{self.folder}/"):
                subprocess.run(
                    [shutil.which("umount") or "umount", "--lazy", mount_point],
                    capture_output=True,
                    timeout=30,
                    check=False,
                )

    def _answers(self) -> bool:
        environment = {**os.environ, "DOCKER_HOST": self.host}
        environment.pop("DOCKER_CONTEXT", None)
        result = subprocess.run(
            [shutil.which("docker") or "docker", "version", "--format", "{{.Server.Version}}"],
            env=environment,
            capture_output=True,
            timeout=30,
            check=False,
        )
        return result.returncode == 0


@contextlib.contextmanager
def own_engine(folder: Path) -> Iterator[OwnEngine]:
    """Yield a running engine and end it afterwards."""
    engine = OwnEngine(folder)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()
