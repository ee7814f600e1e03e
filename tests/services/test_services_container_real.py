"""A server in a container of a real engine: reached from here, reaching nothing, and swept."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.container_jobs import real_image
from helpers.toy_services import recipes, toy

from matrix.docker.cleanup import containers, networks
from matrix.docker.connect import connect
from matrix.docker.engine import DockerEngine
from matrix.docker.labels import hold_run
from matrix.model.environment import Image
from matrix.services import container as contained
from matrix.services import recipes as sources
from matrix.services.forwarding import unix_dial
from matrix.services.pool import Services
from matrix.services.recipes import ServiceRecipe
from matrix.services.supervised import sweep
from matrix.system.paths import project_root

pytestmark = pytest.mark.engine

# Answers as memcached does, and tells whether it can reach anything itself.
_SERVER = """
import socket
def out():
    try:
        socket.create_connection(("192.0.2.1", 53), 0.5)
    except OSError:
        return b"alone"
    return b"not alone"
listener = socket.create_server(("0.0.0.0", 11211))
while True:
    near = listener.accept()[0]
    with near, near.makefile("rwb") as stream:
        for line in stream:
            stream.write(b"VERSION 1.0\\r\\n" if line.strip() == b"version" else out() + b"\\n")
            stream.flush()
"""
# Images of CPython have no shell: what that does, see test_services_contained.py, in Python.
_FIRST = """
import subprocess, sys, threading
server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
threading.Thread(target=lambda: (sys.stdin.read(), server.kill()), daemon=True).start()
sys.exit(server.wait())
"""


@pytest.fixture
def below() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ts-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def engine(runs: Path) -> Iterator[DockerEngine]:
    with hold_run(runs) as run, connect(run) as engine:
        yield engine


@pytest.fixture(scope="module")
def image(engine: DockerEngine) -> Image:
    return real_image(engine)


def boxed(image: Image) -> ServiceRecipe:
    command = (image.executable, "-c", _SERVER)
    return toy(source="container", image="toy:1", inside=(11211,), commands=(command,), ports=1)


def named(engine: DockerEngine) -> set[tuple[str, str]]:
    """Return what of the engine's objects there is besides images."""
    return {
        (each.kind, each.name)
        for listed in (containers, networks)
        for each in listed(engine.client)
    }


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)


def test_a_server_in_a_container_is_reached_reaches_nothing_and_leaves_nothing(
    below: Path, engine: DockerEngine, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "read_images", lambda: {("toy:1", image.platform): ("x", "")})
    monkeypatch.setattr(sources, "by_digest", lambda *_: image.id)
    monkeypatch.setattr(contained, "FIRST", (image.executable, "-c", _FIRST))
    before = named(engine)
    with Services(recipes=recipes(boxed(image)), below=below, engine=engine) as services:
        service = services.ensure("toy")
        assert str(service.identity) == "toy: memcached 1.0"
        with unix_dial(service.ways[0].path)() as sock:
            sock.sendall(b"go\n")
            assert sock.recv(100) == b"alone\n"
        assert len(named(engine) - before) == 2
    assert named(engine) == before
    assert list(below.iterdir()) == []


_RUN = """
import sys, time
sys.path[:0] = [{root!r}, {root!r} + "/tests"]
from pathlib import Path
from matrix.docker.connect import connect
from matrix.docker.labels import hold_run
from matrix.services import container as contained, recipes as sources
from matrix.services.pool import Services
from test_services_container_real import _FIRST, boxed, recipes
from helpers.container_jobs import real_image
with hold_run(Path({runs!r})) as run, connect(run) as engine:
    image = real_image(engine)
    sources.read_images = lambda: {{("toy:1", image.platform): ("x", "")}}
    sources.by_digest = lambda *_: image.id
    contained.FIRST = (image.executable, "-c", _FIRST)
    services = Services(recipes=recipes(boxed(image)), below=Path({below!r}), engine=engine)
    services.ensure("toy")
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.mark.usefixtures("image")
def test_a_run_that_is_killed_ends_its_server_and_the_rest_is_swept(
    below: Path, runs: Path, engine: DockerEngine
) -> None:
    before = named(engine)
    code = _RUN.format(root=str(project_root()), runs=str(runs), below=str(below))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"ready\n"
        assert len(named(engine) - before) == 2
        run.kill()
    # The container by the end of its input, the network by the next run.
    until(lambda: len(named(engine) - before) == 1)
    engine.sweep()
    assert named(engine) == before
    assert sweep(below) == 1
    assert list(below.iterdir()) == []
