"""A worker has a network of its own: loopback works, the rest of the world is not there."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import pytest

SCRIPT = """
import json, socket, sys
from matrix.system.network import isolate, isolation
assert isolation() == "no network isolation"
told = isolate()
assert isolate() == told == isolation()
def reaches(address):
    try:
        socket.create_connection(address, timeout=2).close()
    except OSError:
        return False
    return True
own = socket.create_server(("127.0.0.1", 0))
print(json.dumps({
    "told": told,
    "own": reaches(own.getsockname()),
    "host": reaches(("127.0.0.1", int(sys.argv[1]))),
    "beyond": reaches(("192.0.2.1", 80)),
}))
own.close()
"""


def test_a_cell_reaches_its_own_loopback_and_nothing_of_the_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as host:
        port = host.getsockname()[1]
        asked = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(port)], capture_output=True, check=True, text=True
        )
    seen = json.loads(asked.stdout)
    assert seen["own"]
    if seen["told"].startswith("no network isolation"):
        pytest.skip(seen["told"])
    assert "namespace" in seen["told"]
    assert not seen["host"]
    assert not seen["beyond"]


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are of Linux")
def test_isolation_that_is_refused_is_told_honestly() -> None:
    script = (
        "import matrix.system.network as it\n"
        "def refuse(flags): raise PermissionError(1, 'Operation not permitted')\n"
        "it._unshare = refuse\n"
        "print(it.isolate())\n"
    )
    asked = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    assert asked.stdout.startswith("no network isolation: [Errno 1]")
