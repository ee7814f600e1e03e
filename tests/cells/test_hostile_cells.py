"""Hostile cells in real containers: each ends within its limits, and no other cell is affected."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from matrix.system.paths import project_root

if sys.platform == "win32":
    pytest.skip("it needs signals and Unix sockets", allow_module_level=True)

from helpers.cell_jobs import DETECTION, LIMITS, TRACING, process_of, shown
from helpers.container_jobs import MEBIBYTE, in_container, real_image
from helpers.own_engine import obstacle, own_engine
from helpers.processes import wait_until

from matrix.cells.job import CellJob
from matrix.cells.run import run_cell
from matrix.docker.connect import connect
from matrix.docker.engine import DockerEngine
from matrix.docker.interface import Confinement, Container, ContainerError, ContainerSpec
from matrix.docker.labels import RUN, RunLabels, lock_run
from matrix.model.capture import CellCapture
from matrix.model.environment import Image
from matrix.model.reason import Reason

pytestmark = pytest.mark.engine

SHORT = dataclasses.replace(LIMITS, start=30, request=3, span=3, cell=90)
NEIGHBOUR = """
import socket, sys
tcp = socket.socket(); tcp.bind(("0.0.0.0", 8126)); tcp.listen(1)
unix = socket.socket(socket.AF_UNIX); unix.bind("\\0compat-matrix-neighbour"); unix.listen(1)
sys.stdin.read()
"""

VISITOR = """
import socket, sys, time
for _ in range(50):
    try:
        socket.create_connection((sys.argv[1], 8126), 1).close()
        sys.exit(0)
    except OSError:
        time.sleep(0.1)
sys.exit("not reached")
"""


@dataclasses.dataclass(frozen=True)
class EngineSetup:
    run: RunLabels
    engine: DockerEngine
    image: Image

    def containers(self) -> list[str]:
        labels = {"label": f"{RUN}={self.run.id}"}
        items = self.engine.client.containers(filters=labels, all=True)
        return [str(item["Id"]) for item in items]


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineSetup]:
    locks = tmp_path_factory.mktemp("runs")
    with lock_run(locks) as run, connect(run) as engine:
        setup = EngineSetup(run, engine, real_image(engine))
        yield setup
        assert wait_until(lambda: not setup.containers(), 20), "something was left behind"


@contextlib.contextmanager
def neighbour(folder: Path, setup: EngineSetup) -> Iterator[list[CellCapture]]:
    """Run a good cell meanwhile; what it shows must be what it always shows."""
    (folder / "neighbour").mkdir()
    job = in_container(folder / "neighbour", "good", setup.image, setup.run, limits=SHORT)
    captures: list[CellCapture] = []
    thread = threading.Thread(target=lambda: captures.append(run_cell(job)))
    thread.start()
    yield captures
    thread.join()
    assert shown(captures[0], "appsec") == [True]
    assert [item.failed for item in captures[0].processes] == [None] * 2


def hostile(folder: Path, mode: str, setup: EngineSetup, **more: int) -> CellJob:
    (folder / "hostile").mkdir()
    return in_container(folder / "hostile", mode, setup.image, setup.run, limits=SHORT, **more)


def run_beside_a_neighbour(folder: Path, job: CellJob, setup: EngineSetup) -> CellCapture:
    began = time.monotonic()
    with neighbour(folder, setup):
        capture = run_cell(job)
    assert time.monotonic() - began < SHORT.cell
    return capture


def test_a_good_cell_shows_in_a_container_what_it_shows_on_the_machine(
    tmp_path: Path, setup: EngineSetup
) -> None:
    capture = run_cell(in_container(tmp_path, "good", setup.image, setup.run, limits=SHORT))
    assert shown(capture, "appsec") == [True]
    assert shown(capture, "off", control=True) == [False]
    assert capture.image == setup.image.digest
    assert capture.identity is not None
    assert (capture.identity.bits, capture.identity.libc) == (64, setup.image.libc)


@pytest.mark.parametrize("target", ["linux_i686", "linux_aarch64"])
def test_a_good_cell_of_another_cpu(
    tmp_path: Path, setup: EngineSetup, target: str, request: pytest.FixtureRequest
) -> None:
    slow = target == "linux_aarch64" and setup.engine.info.platform != "linux/arm64"
    if slow and not request.config.getoption("--emulation"):
        pytest.skip("needs --emulation")
    image = real_image(setup.engine, target)
    job = in_container(tmp_path, "good", image, setup.run, limits=SHORT, factor=12 if slow else 1)
    capture = run_cell(job)
    assert shown(capture, "appsec") == [True]
    assert capture.identity is not None
    assert capture.identity.bits == (32 if target == "linux_i686" else 64)
    assert capture.identity.machine == target.removeprefix("linux_")


def test_one_that_forks_without_end(tmp_path: Path, setup: EngineSetup) -> None:
    # It is about processes: they must not run out of memory before.
    job = hostile(tmp_path, "fork", setup, memory=768 * MEBIBYTE)
    job = dataclasses.replace(job, parallel=1)
    capture = run_beside_a_neighbour(tmp_path, job, setup)
    assert capture.failed is None, capture.detail
    # The second has a container to itself again: everything that the first left was killed.
    for setting in ("appsec", "off"):
        item = process_of(capture, setting)
        assert item.failed is None, item.detail
        attack = next(e for e in item.exchanges if e.stimulus == "scanner")
        assert attack.error == "TimeoutError: timed out"


def test_one_that_takes_all_memory(tmp_path: Path, setup: EngineSetup) -> None:
    job = hostile(tmp_path, "fill-memory", setup, memory=160 * MEBIBYTE)
    capture = run_beside_a_neighbour(tmp_path, job, setup)
    assert capture.failed is Reason.OUT_OF_MEMORY, capture.detail
    assert "160 MiB" in capture.detail


def test_one_that_fills_the_disk_and_writes_everywhere(tmp_path: Path, setup: EngineSetup) -> None:
    job = dataclasses.replace(hostile(tmp_path, "fill-disk", setup), probes=(DETECTION,))
    capture = run_beside_a_neighbour(tmp_path, job, setup)
    assert capture.failed is Reason.DISK_FULL, capture.detail
    bodies = [e.body for p in capture.processes for e in p.exchanges if e.stimulus]
    tried = [json.loads(body) for body in bodies if body.startswith('{"/"')]
    assert tried
    for item in tried:
        assert item.pop("/tmp") == "No space left on device"  # noqa: S108 - inside
        assert set(item.values()) <= {"Read-only file system", "Permission denied"}, item


def on_the_network(setup: EngineSetup, code: str, *arguments: str) -> ContainerSpec:
    command = [setup.image.executable, "-c", code, *arguments]
    confinement = Confinement(network=True)
    return ContainerSpec(setup.image.id, setup.image.platform, command, confinement=confinement)


def started(setup: EngineSetup, code: str) -> Container:
    """Start a container on the engine's network, or on none where it has none that works."""
    spec = on_the_network(setup, code)
    try:
        return setup.engine.start(spec)
    except ContainerError:
        return setup.engine.start(dataclasses.replace(spec, confinement=Confinement()))


def test_one_that_looks_for_others_on_the_network(tmp_path: Path, setup: EngineSetup) -> None:
    job = dataclasses.replace(hostile(tmp_path, "reach-out", setup), probes=(DETECTION,))
    # One of the engine's own network (if it has one), whose address the hostile cell gets.
    with started(setup, NEIGHBOUR) as other:
        network = setup.engine.client.inspect_container(other.id)["NetworkSettings"]
        addresses = [network.get("IPAddress") or "172.17.0.2", "127.0.0.1"]
        if network.get("IPAddress"):
            assert setup.engine.run(on_the_network(setup, VISITOR, addresses[0]), 30).code == 0
        (job.apps / "neighbours").write_text(
            " ".join(f"{address}:8126" for address in addresses), encoding="ascii"
        )
        capture = run_beside_a_neighbour(tmp_path, job, setup)
    tried = json.loads(process_of(capture, "appsec").exchanges[1].body)
    assert tried.pop("interfaces") == "lo"
    assert len(tried) == 7
    assert "reached" not in tried.values(), tried


def test_one_that_hangs_and_ignores_sigterm(tmp_path: Path, setup: EngineSetup) -> None:
    capture = run_beside_a_neighbour(tmp_path, hostile(tmp_path, "hang", setup), setup)
    attacks = process_of(capture, "appsec").exchanges[1:]
    assert {item.error for item in attacks} == {"TimeoutError: timed out"}


def test_one_that_prints_without_end(tmp_path: Path, setup: EngineSetup) -> None:
    capture = run_beside_a_neighbour(tmp_path, hostile(tmp_path, "print-much", setup), setup)
    assert shown(capture, "appsec") == [True]
    log = process_of(capture, "appsec").log
    assert len(log) < 100_000
    assert "bytes ...]" in log


def test_one_that_kills_every_process_that_it_can(tmp_path: Path, setup: EngineSetup) -> None:
    job = dataclasses.replace(hostile(tmp_path, "kill-everybody", setup), parallel=1)
    capture = run_beside_a_neighbour(tmp_path, job, setup)
    assert capture.failed is None, capture.detail
    assert process_of(capture, "appsec").exchanges[1].body == '"killed"'
    assert [item.failed for item in capture.processes] == [None] * 2


def in_thread(job: CellJob) -> tuple[threading.Thread, list[CellCapture]]:
    captures: list[CellCapture] = []
    thread = threading.Thread(target=lambda: captures.append(run_cell(job)))
    thread.start()
    return thread, captures


def test_a_container_that_is_killed_from_outside(tmp_path: Path, setup: EngineSetup) -> None:
    limits = dataclasses.replace(SHORT, request=60, span=60)
    job = in_container(tmp_path, "hang", setup.image, setup.run, limits=limits)
    thread, captures = in_thread(job)
    assert wait_until(lambda: bool(setup.containers()), 20)
    time.sleep(1.5)  # while a request hangs
    for container in setup.containers():
        setup.engine.client.kill(container)
    thread.join(15)
    assert not thread.is_alive()
    assert captures[0].failed is Reason.CONTAINER_LOST, captures[0].detail
    assert wait_until(lambda: not setup.containers(), 20)


def test_an_engine_that_is_killed(
    tmp_path: Path, setup: EngineSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    if obstacle():
        pytest.skip(obstacle())
    limits = dataclasses.replace(SHORT, request=60, span=60)
    # Not in the folder of the test: a socket's name must be short.
    with tempfile.TemporaryDirectory() as folder, own_engine(Path(folder)) as own:
        monkeypatch.setenv("DOCKER_HOST", own.host)
        with connect(setup.run) as engine, tempfile.TemporaryFile() as archive:
            for piece in setup.engine.client.get_image(setup.image.id):
                archive.write(piece)
            archive.seek(0)
            image = dataclasses.replace(setup.image, id=engine.load(archive))
            job = in_container(tmp_path, "hang", image, setup.run, limits=limits)
            thread, captures = in_thread(job)
            labels = {"label": f"{RUN}={setup.run.id}"}
            assert wait_until(lambda: bool(engine.client.containers(filters=labels)), 20)
            time.sleep(1.5)  # while a request hangs
            own.kill()
            thread.join(30)
            assert not thread.is_alive()
        assert captures[0].failed is Reason.ENGINE_LOST, captures[0].detail
        own.start()
        with connect(setup.run) as engine:
            assert wait_until(lambda: not engine.client.containers(filters=labels), 20)


def test_one_that_writes_in_place_of_its_relay(tmp_path: Path, setup: EngineSetup) -> None:
    job = dataclasses.replace(hostile(tmp_path, "talk-nonsense", setup), probes=(DETECTION,))
    capture = run_beside_a_neighbour(tmp_path, job, setup)
    assert capture.failed is Reason.CONTAINER_LOST, capture.detail
    assert "invalid data from the relay" in capture.detail


RUN_IT = """
import pickle, sys
from pathlib import Path
sys.path[:0] = [sys.argv[2], sys.argv[3]]
from matrix.cells.run import run_cell
run_cell(pickle.loads(Path(sys.argv[1]).read_bytes()))
"""


def test_when_the_process_that_runs_a_cell_is_killed_its_container_goes(
    tmp_path: Path, setup: EngineSetup
) -> None:
    limits = dataclasses.replace(SHORT, request=60, span=60)
    job = in_container(tmp_path, "hang", setup.image, setup.run, limits=limits)
    (tmp_path / "job").write_bytes(pickle.dumps(job))
    tests = project_root() / "tests"
    command = [sys.executable, "-c", RUN_IT, str(tmp_path / "job"), str(tests), str(tests.parent)]
    with subprocess.Popen(command, env=dict(os.environ)) as worker:
        assert wait_until(lambda: bool(setup.containers()), 20)
        time.sleep(1.5)  # while a request hangs
        worker.send_signal(signal.SIGKILL)
    assert wait_until(lambda: not setup.containers(), 20)


def test_tracing_alone_works_within_small_limits(tmp_path: Path, setup: EngineSetup) -> None:
    job = in_container(tmp_path, "good", setup.image, setup.run, limits=SHORT)
    capture = run_cell(dataclasses.replace(job, probes=(TRACING,)))
    assert process_of(capture, "off").failed is None
