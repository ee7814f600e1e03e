"""Tests of network namespaces: loopback works, everything else is unreachable."""

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
achieved = isolate()
assert isolate() == achieved == isolation()
def reaches(address):
    try:
        socket.create_connection(address, timeout=2).close()
    except OSError:
        return False
    return True
own = socket.create_server(("127.0.0.1", 0))
print(json.dumps({
    "isolation": achieved,
    "own": reaches(own.getsockname()),
    "host": reaches(("127.0.0.1", int(sys.argv[1]))),
    "beyond": reaches(("192.0.2.1", 80)),
}))
own.close()
"""


def test_a_cell_reaches_its_own_loopback_and_nothing_of_the_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as host:
        port = host.getsockname()[1]
        process = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(port)], capture_output=True, check=True, text=True
        )
    result = json.loads(process.stdout)
    assert result["own"]
    if result["isolation"].startswith("no network isolation"):
        pytest.skip(result["isolation"])
    assert "namespace" in result["isolation"]
    assert not result["host"]
    assert not result["beyond"]


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are of Linux")
def test_isolation_that_is_refused_is_told_honestly() -> None:
    script = (
        "from matrix.system import network\n"
        "def refuse(flags): raise PermissionError(1, 'Operation not permitted')\n"
        "network._unshare = refuse\n"
        "print(network.isolate())\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    assert process.stdout.startswith("no network isolation: [Errno 1]")
