"""Linux only: acts of a hostile app; each returns its result."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
import urllib.request
from pathlib import Path

if sys.platform != "linux":
    raise ImportError("Linux only: it runs in containers")


def fork() -> str:
    """Start processes that leave the group until there can be no more, and go on trying."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            fork_away()
    return "forked"


def fork_away() -> None:
    """Start a process in a session of its own."""
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
        os._exit(0)


def fill_memory() -> str:
    """Take all memory there is."""
    blocks = []
    while True:
        blocks.append(bytearray(os.urandom(1)) * (16 * 1024**2))


def fill_disk() -> dict[str, str]:
    """Try to write everywhere, and fill the scratch folder."""
    tried = {}
    site = next(path for path in sys.path if path.endswith("-packages"))
    for folder in ("/", "/etc", "/usr/bin", "/var", "/run", "/cell/apps", "/cell/fixtures", site):
        tried[folder] = try_to_write(folder)
    try:
        with Path("/tmp/evil").open("wb") as file:  # noqa: S108 - in a container
            while True:
                file.write(bytes(1024**2))
                file.flush()
    except OSError as error:
        tried["/tmp"] = error.strerror or "?"  # noqa: S108 - likewise
    return tried


def try_to_write(folder: str) -> str:
    """Return the result of writing a file."""
    try:
        Path(folder, "evil").write_text("evil", "ascii")
    except OSError as error:
        return error.strerror or "?"
    return "written"


def reach_out() -> dict[str, str]:
    """Try to connect to a neighbour, to the engine's usual networks, and to the internet."""
    tried = {}
    neighbours = Path("/cell/apps/neighbours").read_text("ascii").split()
    for address in (*neighbours, "172.17.0.1:80", "10.0.0.1:80", "192.0.2.1:443", "8.8.8.8:53"):
        tried[address] = try_to_connect(address)
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect("\0compat-matrix-neighbour")
            tried["abstract socket"] = "reached"
        except OSError as error:
            tried["abstract socket"] = str(error)
    tried["interfaces"] = " ".join(name for _, name in socket.if_nameindex())
    return tried


def try_to_connect(address: str) -> str:
    """Return the result of connecting."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 2).close()
    except OSError as error:
        return str(error)
    return "reached"


def print_much() -> str:
    """Print 100 MB."""
    for _ in range(100):
        os.write(1, b"x" * 1_000_000)
    return "printed"


def kill_everybody() -> str:
    """Kill every process that can be killed."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGSTOP, signal.SIGKILL):
        with contextlib.suppress(OSError):
            os.kill(1, number)
    with contextlib.suppress(OSError):
        os.kill(-1, signal.SIGKILL)
    return "killed"


def talk_nonsense() -> str:
    """Write to the output of the first process, which has the same user."""
    with Path("/proc/1/fd/1").open("wb") as file:
        file.write(b"\xff" * 9)
    return "talked"


def describe_place() -> dict[str, str]:
    """Return what tells the place of a process."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    status = dict(line.split(":", 1) for line in lines)
    sockets = Path("/var/run/datadog")
    return {
        "capabilities": status["CapEff"].strip(),
        "privileges": status["NoNewPrivs"].strip(),
        "user": str(os.getuid()),
        "cgroup": Path("/proc/self/cgroup").read_text("ascii"),
        "interfaces": " ".join(sorted(name for _, name in socket.if_nameindex())),
        "sockets": " ".join(path.name for path in sockets.iterdir()) if sockets.exists() else "",
        "metadata": fetch(os.environ.get("ECS_CONTAINER_METADATA_URI_V4", "")),
        "injected": os.environ.get("INJECTED", ""),
    }


def fetch(url: str) -> str:
    """Return what is answered to a request, or the error."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - of the place
            return str(answer.read().decode())
    except (OSError, ValueError) as error:
        return str(error)


ACTS = {
    "describe-place": describe_place,
    "talk-nonsense": talk_nonsense,
    "fork": fork,
    "fill-memory": fill_memory,
    "fill-disk": fill_disk,
    "reach-out": reach_out,
    "print-much": print_much,
    "kill-everybody": kill_everybody,
}
