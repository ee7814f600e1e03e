"""The run is killed, the container is killed, the engine is killed: nothing is left behind."""

from __future__ import annotations

import contextlib
import io
import signal
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
from matrix.docker.labels import hold_run
from matrix.errors import EngineUnavailableError
from matrix.system.paths import project_root

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(bool(obstacle()), reason=obstacle() or "an engine can be started"),
]

LISTENING = "import os; os.write(1, b'x'); os.read(0, 1)"
STUBBORN = "import os, time; os.write(1, b'x'); time.sleep(600)"

# A run that starts two containers, says so, and waits to be killed.
DOOMED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from helpers.small_image import CPU, host_mounts, python
from matrix.docker.connect import connect
from matrix.docker.labels import hold_run
from matrix.docker.interface import ContainerSpec
with hold_run(Path(sys.argv[2])) as run, connect(run) as engine:
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
    with hold_run(tmp_path / "runs") as run, connect(run) as engine:
        yield engine


@pytest.fixture
def image(engine: DockerEngine) -> str:
    return engine.load(io.BytesIO(archive({"compat-matrix-test": "crashes"})))


def spec(image: str, code: str) -> ContainerSpec:
    return ContainerSpec(image, f"linux/{CPU}", python(code), mounts=host_mounts())


def eventually(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def there(engine: DockerEngine) -> set[str]:
    return {str(said["Id"]) for said in engine.client.containers(all=True)}


def doomed(runs: Path, image: str, *codes: str) -> tuple[subprocess.Popen[str], list[str]]:
    tests = str(project_root() / "tests")
    process = subprocess.Popen(
        [sys.executable, "-c", DOOMED, tests, str(runs), image, *codes],
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
    process, (listening, stubborn) = doomed(tmp_path / "runs", image, LISTENING, STUBBORN)
    with process:
        assert {listening, stubborn} <= there(engine)
        # While its run lives nothing of it is swept.
        assert engine.sweep() == 0
        assert {listening, stubborn} <= there(engine)
        process.send_signal(signal.SIGKILL)
        process.wait()
    # Its lifeline is cut: it reads the end of its input and goes, without our doing.
    eventually(lambda: listening not in there(engine))
    assert stubborn in there(engine)
    assert engine.sweep() == 1
    assert stubborn not in there(engine)


def test_what_others_have_is_not_swept(engine: DockerEngine, image: str, tmp_path: Path) -> None:
    with hold_run(tmp_path / "runs") as dead:
        pass
    bodies = {
        "dead": dead.labels,
        "other": {**dead.labels, "compat-matrix.project": "another"},
        "elsewhere": {**dead.labels, "compat-matrix.owner": "elsewhere:0:/nowhere"},
        "none": {},
        "living": engine.labelled.labels,
    }
    made = {
        name: engine.client.created({"Image": image, "Cmd": ["x"], "Labels": labels}, None, "")
        for name, labels in bodies.items()
    }
    assert engine.sweep() == 1
    assert there(engine) == {made[name] for name in bodies if name != "dead"}
    for name in set(made) - {"dead"}:
        engine.client.remove_container(made[name])


def test_a_dead_engine_wakes_whoever_waits_and_is_told_as_lost(
    daemon: OwnEngine, engine: DockerEngine, image: str
) -> None:
    container = engine.start(spec(image, LISTENING))
    assert container.pipe.read() == b"x"
    heard: list[object] = []

    def listen() -> None:
        try:
            heard.append(container.pipe.read())
        except OSError as error:
            heard.append(error)

    reader = threading.Thread(target=listen)
    reader.start()
    daemon.kill()
    try:
        reader.join(timeout=10)
        assert not reader.is_alive()
        assert heard[0] == b"" or isinstance(heard[0], OSError)
        with pytest.raises(EngineLostError):
            container.state()
        with pytest.raises(EngineLostError):
            engine.start(spec(image, LISTENING))
        with pytest.raises(EngineLostError):
            container.remove()
        with pytest.raises(EngineUnavailableError, match="no container engine answers"):
            connect(engine.labelled)
    finally:
        daemon.start()
    # The same object goes on when the engine is back, and nothing is left of what was before.
    ran = engine.run(spec(image, "import sys; sys.exit(3)"), 60)
    assert ran.code == 3
    eventually(lambda: container.id not in there(engine))
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
    # It does not listen to its input, so it outlived the engine; it is of a living run: ours.
    for left in there(engine):
        with contextlib.suppress(docker.errors.APIError):  # the engine may be at it itself
            engine.client.remove_container(left, force=True)
    eventually(lambda: not there(engine))


def test_an_engine_that_says_nothing_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket  # noqa: PLC0415

    with socket.socket(socket.AF_UNIX) as silent, hold_run(tmp_path / "runs") as run:
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
