"""Runs, containers and engines that are killed leave nothing behind."""

from __future__ import annotations

import contextlib
import io
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker.errors
import pytest

if sys.platform == "win32":
    pytest.skip("it needs signals and Unix sockets", allow_module_level=True)

from helpers.own_engine import OwnEngine, obstacle, own_engine
from helpers.small_image import CPU, archive, host_mounts, python

from matrix.docker.connect import connect
from matrix.docker.engine import DockerEngine
from matrix.docker.interface import ContainerError, ContainerSpec, EngineLostError
from matrix.docker.labels import lock_run
from matrix.errors import EngineUnavailableError
from matrix.system.paths import project_root

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(bool(obstacle()), reason=obstacle() or "an engine can be started"),
]

LISTENING = "import os; os.write(1, b'x'); os.read(0, 1)"
STUBBORN = "import os, time; os.write(1, b'x'); time.sleep(600)"

# A run that starts containers, prints their ids, and waits to be killed.
KILLED_RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from helpers.small_image import CPU, host_mounts, python
from matrix.docker.connect import connect
from matrix.docker.labels import lock_run
from matrix.docker.interface import ContainerSpec
with lock_run(Path(sys.argv[2])) as run, connect(run) as engine:
    for code in sys.argv[4:]:
        spec = ContainerSpec(sys.argv[3], f"linux/{CPU}", python(code), mounts=host_mounts())
        container = engine.start(spec)
        assert container.pipe.read() == b"x"
        print(container.id, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnEngine]:
    with own_engine(tmp_path_factory.mktemp("engine")) as engine:
        yield engine


@pytest.fixture
def engine(
    daemon: OwnEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DockerEngine]:
    monkeypatch.setenv("DOCKER_HOST", daemon.host)
    with lock_run(tmp_path / "runs") as run, connect(run) as engine:
        yield engine


@pytest.fixture
def image(engine: DockerEngine) -> str:
    return engine.load(io.BytesIO(archive({"compat-matrix-test": "crashes"})))


def spec(image: str, code: str) -> ContainerSpec:
    return ContainerSpec(image, f"linux/{CPU}", python(code), mounts=host_mounts())


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition was never true"
        time.sleep(0.02)


def list_ids(engine: DockerEngine) -> set[str]:
    return {str(container["Id"]) for container in engine.client.containers(all=True)}


def start_run(runs: Path, image: str, *codes: str) -> tuple[subprocess.Popen[str], list[str]]:
    tests = str(project_root() / "tests")
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_RUN, tests, str(runs), image, *codes],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=project_root(),
    )
    assert process.stdout is not None
    return process, [process.stdout.readline().strip() for _ in codes]


def test_containers_of_a_killed_run_go_by_themselves_or_by_the_next_run(
    engine: DockerEngine, image: str, tmp_path: Path
) -> None:
    process, (listening, stubborn) = start_run(tmp_path / "runs", image, LISTENING, STUBBORN)
    with process:
        assert {listening, stubborn} <= list_ids(engine)
        # While its run lives nothing of it is swept.
        assert engine.sweep() == 0
        assert {listening, stubborn} <= list_ids(engine)
        process.send_signal(signal.SIGKILL)
        process.wait()
    # It reads the end of its input and ends, without our doing.
    wait_until(lambda: listening not in list_ids(engine))
    assert stubborn in list_ids(engine)
    assert engine.sweep() == 1
    assert stubborn not in list_ids(engine)


def test_what_others_have_is_not_swept(engine: DockerEngine, image: str, tmp_path: Path) -> None:
    with lock_run(tmp_path / "runs") as dead:
        pass
    bodies = {
        "dead": dead.labels,
        "other": {**dead.labels, "compat-matrix.project": "another"},
        "elsewhere": {**dead.labels, "compat-matrix.owner": "elsewhere:0:/nowhere"},
        "none": {},
        "living": engine.run_labels.labels,
    }
    ids = {
        name: engine.client.create_from_body(
            {"Image": image, "Cmd": ["x"], "Labels": labels}, None, ""
        )
        for name, labels in bodies.items()
    }
    assert engine.sweep() == 1
    assert list_ids(engine) == {ids[name] for name in bodies if name != "dead"}
    for name in set(ids) - {"dead"}:
        engine.client.remove_container(ids[name])


def test_a_dead_engine_wakes_whoever_waits_and_is_told_as_lost(
    daemon: OwnEngine, engine: DockerEngine, image: str
) -> None:
    container = engine.start(spec(image, LISTENING))
    assert container.pipe.read() == b"x"
    results: list[object] = []

    def listen() -> None:
        try:
            results.append(container.pipe.read())
        except OSError as error:
            results.append(error)

    reader = threading.Thread(target=listen)
    reader.start()
    daemon.kill()
    try:
        reader.join(timeout=10)
        assert not reader.is_alive()
        assert results[0] == b"" or isinstance(results[0], OSError)
        with pytest.raises(EngineLostError):
            container.state()
        with pytest.raises(EngineLostError):
            engine.start(spec(image, LISTENING))
        with pytest.raises(EngineLostError):
            container.remove()
        with pytest.raises(EngineUnavailableError, match="no container engine answers"):
            connect(engine.run_labels)
    finally:
        daemon.start()
    # The same object works when the engine is back, and the old container is gone.
    assert engine.run(spec(image, "import sys; sys.exit(3)"), 60).code == 3
    wait_until(lambda: container.id not in list_ids(engine))
    assert not container.state().running


def test_an_engine_that_dies_while_one_runs_to_its_end_is_lost(
    daemon: OwnEngine, engine: DockerEngine, image: str
) -> None:
    killer = threading.Timer(1.5, daemon.kill)
    killer.start()
    try:
        with pytest.raises(EngineLostError):
            engine.run(spec(image, STUBBORN), 120)
    finally:
        killer.join()
        daemon.start()
    # It ignores its input, so it outlived the engine, and its run lives: it is not swept.
    for container in list_ids(engine):
        with contextlib.suppress(docker.errors.APIError):  # the engine may be removing it
            engine.client.remove_container(container, force=True)
    wait_until(lambda: not list_ids(engine))


def test_an_engine_that_says_nothing_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as silent, lock_run(tmp_path / "runs") as run:
        silent.bind(str(tmp_path / "s"))
        silent.listen(8)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 's'}")
        start = time.monotonic()
        with pytest.raises(EngineUnavailableError, match="DOCKER_HOST"):
            connect(run)
        assert time.monotonic() - start < 10


def test_a_refusal_has_the_words_of_the_engine(engine: DockerEngine) -> None:
    with pytest.raises(ContainerError, match=r"(?i)no such image"):
        engine.start(spec("compat-matrix-none:x", ""))
