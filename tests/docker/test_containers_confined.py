"""Restrictions of containers, checked from inside of real ones."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from helpers.small_image import CPU, archive, host_mounts, python

from matrix.docker.connect import connect
from matrix.docker.engine import DockerEngine, run_to_end
from matrix.docker.interface import Confinement, ContainerError, ContainerSpec, ContainerState
from matrix.docker.labels import RunLabels, lock_run

pytestmark = pytest.mark.engine

MEGA = 1024**2
CELL = Confinement()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunLabels]:
    with lock_run(tmp_path_factory.mktemp("runs")) as run:
        yield run


@pytest.fixture(scope="module")
def engine(run: RunLabels) -> Iterator[DockerEngine]:
    with connect(run) as engine:
        if not engine.info.shares_files:
            pytest.skip("the engine does not share this machine's files")
        yield engine


@pytest.fixture(scope="module")
def image(engine: DockerEngine) -> Iterator[str]:
    image = engine.load(io.BytesIO(archive({"compat-matrix-test": "confined"})))
    yield image
    engine.client.remove_image(image)


def spec(image: str, code: str, confinement: Confinement = CELL) -> ContainerSpec:
    return ContainerSpec(
        image, f"linux/{CPU}", python(code), mounts=host_mounts(), confinement=confinement
    )


def run_code(engine: DockerEngine, image: str, code: str, confinement: Confinement = CELL) -> Any:  # noqa: ANN401
    """Return the value of `found` after `code` has run in a container."""
    script = f"import json, os\n{code}\nprint(json.dumps(found))"
    result = engine.run(spec(image, script, confinement), 60)
    assert result.code == 0, result.err.decode()
    return json.loads(result.out)


def test_no_privilege_is_left(engine: DockerEngine, image: str) -> None:
    code = "found = dict(line.rstrip().split(':\\t', 1) for line in open('/proc/self/status'))"
    status: Mapping[str, str] = run_code(engine, image, code)
    assert status["Pid"] == "1"
    assert status["Uid"].split() == ["1000"] * 4
    assert status["Gid"].split() == ["1000"] * 4
    sets = {name: int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd")}
    assert set(sets.values()) == {0}, sets
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


def test_nothing_but_its_own_memory_can_be_written_to(engine: DockerEngine, image: str) -> None:
    code = """
found = []
for folder, _, _ in os.walk("/"):
    if folder.startswith(("/proc", "/sys")):
        continue
    try:
        with open(os.path.join(folder, "written"), "w"):
            found.append(folder)
    except OSError:
        pass
"""
    # As root inside, so that only the mounts hold it back.
    written = run_code(engine, image, code, Confinement(user="0:0"))
    assert "/tmp" in written  # noqa: S108
    # Root writes to /dev, which is a small tmpfs of the container's own.
    assert all(folder.startswith(("/tmp", "/dev")) for folder in written)  # noqa: S108
    shared = {"/dev/shm", "/dev/mqueue"}  # noqa: S108 - small, and counted as its memory
    assert set(run_code(engine, image, code)) - shared == {"/tmp"}  # noqa: S108


def test_tmp_is_small_and_clean(engine: DockerEngine, image: str) -> None:
    code = """
import errno
mounts = [line.split() for line in open("/proc/mounts")]
found = {"options": [m[3].split(",") for m in mounts if m[1] == "/tmp"][0], "size": 0}
try:
    with open("/tmp/much", "wb", buffering=0) as file:
        while found["size"] < 64 << 20:
            found["size"] += file.write(b"x" * 65536)
except OSError as error:
    found["error"] = errno.errorcode[error.errno]
"""
    found = run_code(engine, image, code, Confinement(tmp_bytes=8 * MEGA))
    assert {"nosuid", "nodev", "rw"} <= set(found["options"])
    assert "noexec" not in found["options"]
    assert (found["size"], found["error"]) == (8 * MEGA, "ENOSPC")


def test_there_is_no_way_to_a_neighbour(engine: DockerEngine, image: str) -> None:
    serving = """
import os, socket
server = socket.socket()
server.bind(("0.0.0.0", 8123))
server.listen(5)
socket.create_connection(("127.0.0.1", 8123)).close()
os.write(1, b"serving")
os.read(0, 1)
"""
    calling = """
import socket
found = {"interfaces": [name for _, name in socket.if_nameindex()], "reached": []}
found["routes"] = open("/proc/net/route").read().splitlines()[1:]
for host in ("127.0.0.1", "172.17.0.1", "172.17.0.2", "10.0.0.1"):
    try:
        socket.create_connection((host, 8123), 1).close()
        found["reached"].append(host)
    except OSError:
        pass
"""
    with engine.start(spec(image, serving)) as neighbour:
        assert neighbour.pipe.read() == b"serving"
        found = run_code(engine, image, calling)
    assert found == {"interfaces": ["lo"], "reached": [], "routes": []}


def test_more_memory_than_allowed_is_told_as_that(engine: DockerEngine, image: str) -> None:
    code = "x = bytearray(400 << 20)"
    container = engine.start(spec(image, code, Confinement(memory=64 * MEGA)))
    with container:
        while container.pipe.read():
            pass
        assert container.state() == ContainerState(running=False, code=137, oom=True)


def test_a_child_that_takes_too_much_dies_alone(engine: DockerEngine, image: str) -> None:
    code = """
import os, sys
child = os.fork()
if not child:
    open("/proc/self/oom_score_adj", "w").write("1000")
    x = bytearray(400 << 20)
    os._exit(0)
os.write(1, b"%d" % os.waitpid(child, 0)[1])
os.read(0, 1)
"""
    with engine.start(spec(image, code, Confinement(memory=64 * MEGA))) as container:
        assert container.pipe.read() == b"9"
        deadline = time.monotonic() + 5
        while not container.state().oom:
            assert time.monotonic() < deadline, "the lack of memory was not reported"
            time.sleep(0.01)
        assert container.state() == ContainerState(running=True, code=None, oom=True)


def test_processes_are_counted(engine: DockerEngine, image: str) -> None:
    code = """
import errno, signal, time
found = {"children": 0}
try:
    while found["children"] < 500:
        if not os.fork():
            signal.pause()
        found["children"] += 1
except OSError as error:
    found["error"] = errno.errorcode[error.errno]
"""
    start = time.monotonic()
    assert run_code(engine, image, code, Confinement(pids=20)) == {
        "children": 19,
        "error": "EAGAIN",
    }
    assert time.monotonic() - start < 20


def test_one_killed_from_outside_says_so(engine: DockerEngine, image: str) -> None:
    with engine.start(spec(image, "import os; os.write(1, b'x'); os.read(0, 1)")) as container:
        assert container.pipe.read() == b"x"
        engine.client.kill(container.id)
        assert container.pipe.read() == b""
        assert container.state() == ContainerState(running=False, code=137, oom=False)


def test_one_that_writes_without_end_is_killed(
    engine: DockerEngine, image: str, run: RunLabels
) -> None:
    container = engine.start(spec(image, "import os\nwhile True: os.write(2, b'x' * 65536)"))
    with pytest.raises(ContainerError, match="wrote more than"):
        run_to_end(container, 60, b"", max_bytes=MEGA)
    filters = {"label": f"compat-matrix.run={run.id}"}
    assert engine.client.containers(all=True, filters=filters) == []


def test_it_carries_the_labels_of_its_run(engine: DockerEngine, image: str, run: RunLabels) -> None:
    with engine.start(spec(image, "import os; os.read(0, 1)")) as container:
        attributes = engine.client.inspect_container(container.id)
        assert run.labels.items() <= attributes["Config"]["Labels"].items()
        assert attributes["HostConfig"]["LogConfig"]["Type"] == "none"
        assert attributes["HostConfig"]["NanoCpus"] == int(min(2.0, engine.info.cpus) * 1e9)
