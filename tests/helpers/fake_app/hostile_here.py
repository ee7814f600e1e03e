"""Linux only: acts of a hostile app that runs on the machine itself; each returns its result.

`targets.json` in the folder of the app names what it looks for.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgpack  # type: ignore[import-untyped]

if sys.platform != "linux":
    raise ImportError("Linux only")

import resource

_TARGETS = Path(__file__).parent / "targets.json"


def read_secrets() -> dict[str, str]:
    """Try to read every file that is named, and to list every folder."""
    return {path: attempt(look, path) for path in json.loads(_TARGETS.read_text("ascii"))}


def look(path: str) -> None:
    """Read a file or a folder."""
    if os.path.isdir(path):
        os.listdir(path)
    else:
        Path(path).read_bytes()


def write_in_place() -> dict[str, str]:
    """Try to open every file that is named for writing; nothing is written, as some are real."""
    return {path: attempt(open_in_place, path) for path in json.loads(_TARGETS.read_text("ascii"))}


def open_in_place(path: str) -> None:
    """Open a file that exists for writing."""
    with open(path, "r+b"):
        pass


def stay_behind() -> str:
    """Fork twice, with a session of its own and an empty environment; write to the folder of the
    cell's process for ever.
    """
    mark, *more = json.loads(_TARGETS.read_text("ascii"))
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execve(  # noqa: S606
                sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", mark], {}
            )
        os._exit(0)
    os.wait()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                    time.sleep(600 if more else 0)
                    return "started"
        time.sleep(0.02)
    return "not started"


def look_around() -> dict[str, object]:
    """Return what can be seen of other processes, users and the network."""
    ids = [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]
    status = dict(
        line.split(":\t", 1) for line in Path("/proc/self/status").read_text("ascii").splitlines()
    )
    tried = {}
    for name in json.loads(_TARGETS.read_text("ascii")):
        kind, _, address = name.partition(" ")
        with socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET) as sock:
            sock.settimeout(2)
            host, _, port = address.rpartition(":")
            place = address.replace("@", "\0") if kind == "unix" else (host, int(port))
            tried[name] = attempt(sock.connect, place)
    return {
        "processes": len(ids),
        "capabilities": status["CapEff"].strip("0\t ") + status["CapBnd"].strip("0\t "),
        "privileges": status["NoNewPrivs"],
        "devices": sorted(path.name for path in Path("/dev").iterdir()),
        "root": sorted(path.name for path in Path("/").iterdir()),
        "tried": tried,
        "user": os.getuid(),
    }


def take_all() -> dict[str, str]:
    """Try to take memory, disk and processes beyond the limits."""
    kinds = (resource.RLIMIT_DATA, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC)
    if any(resource.getrlimit(kind)[0] in {-1, resource.RLIM_INFINITY} for kind in kinds):
        return {"limits": "none"}  # the machine is spared
    soft = resource.getrlimit(resource.RLIMIT_DATA)[0]
    blocks: list[bytearray] = []

    def take_memory() -> None:
        blocks.append(bytearray(soft))

    def fill_file() -> None:
        with Path(os.environ["HOME"], "big").open("wb") as file:
            file.truncate(resource.getrlimit(resource.RLIMIT_FSIZE)[0] + 1)

    def fork_on() -> None:
        children = []
        try:
            for _ in range(20_000):
                child = os.fork()
                if child == 0:
                    time.sleep(600)
                    os._exit(0)
                children.append(child)
        finally:
            for child in children:
                os.kill(child, 9)
                os.waitpid(child, 0)

    results = {}
    for act in (take_memory, fill_file, fork_on):
        results[act.__name__] = attempt(act)
    return results


def fill_scratch() -> dict[str, object]:
    """Fill the folder of the process, and leave what is hard to remove."""
    home = Path(os.environ["HOME"])
    (home / "link").symlink_to("/etc")
    (home / "closed").mkdir(0)
    os.chdir(home)
    for _ in range(2_000):
        os.mkdir("deep")
        os.chdir("deep")
    written = 0
    with (home / "big").open("wb") as file, contextlib.suppress(OSError):
        while written < 1 << 30:
            os.posix_fallocate(file.fileno(), written, 1 << 24)
            written += 1 << 24
    return {"written": written, "beside": attempt(Path(home.parent, "beside").mkdir)}


def send_without_end() -> list[int]:
    """Send the agent much more than the requests have bytes; return its answers."""
    strings = ["x" * 100_000, ""]
    span = [0, 0, 0, 1, 1, 0, 1, 1, 0, {}, {}, 0]
    body = gzip.compress(msgpack.packb([strings, [[span] * 10_000]]))
    headers = {"Content-Type": "application/msgpack", "Content-Encoding": "gzip"}
    return [send(body, headers) for _ in range(9)]


def send(body: bytes, headers: dict[str, str]) -> int:
    """Send a body in chunks; return the status of the response."""
    address = os.environ["DD_TRACE_AGENT_URL"].removeprefix("http://").rstrip("/")
    agent = http.client.HTTPConnection(address)
    with contextlib.closing(agent):
        agent.request("PUT", "/v0.5/traces", iter([body]), headers, encode_chunked=True)
        answer = agent.getresponse()
        answer.read()
        return answer.status


def attempt(act: Callable[..., object], *arguments: object) -> str:
    """Return the result of a function, as a word."""
    try:
        act(*arguments)
    except MemoryError:
        return "MemoryError"
    except OSError as error:
        return type(error).__name__
    return "done"


ACTS = {
    "read-secrets": read_secrets,
    "write-in-place": write_in_place,
    "stay-behind": stay_behind,
    "look-around": look_around,
    "take-all": take_all,
    "fill-scratch": fill_scratch,
    "send-without-end": send_without_end,
}
