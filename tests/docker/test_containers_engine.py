"""The container engine interface, tested with the fake and with a real engine."""

from __future__ import annotations

import dataclasses
import io
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.fake_engine import FakeEngine
from helpers.small_image import CPU, archive, host_mounts, python

from matrix.docker.connect import connect
from matrix.docker.interface import (
    Container,
    ContainerEngine,
    ContainerError,
    ContainerSpec,
    ContainerState,
    Mount,
)
from matrix.docker.labels import lock_run

PLATFORM = f"linux/{CPU}"
OTHER = "linux/s390x"
ECHO = """
import os
while True:
    data = os.read(0, 65536)
    if not data:
        break
    os.write(1, data)
"""


@pytest.fixture(scope="module", params=["fake", pytest.param("docker", marks=pytest.mark.engine)])
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ContainerEngine]:
    if request.param == "fake":
        yield FakeEngine()
        return
    with lock_run(tmp_path_factory.mktemp("runs")) as run, connect(run) as real:
        if not real.info.shares_files:
            pytest.skip("the engine does not share this machine's files")
        yield real


@pytest.fixture(scope="module")
def image(engine: ContainerEngine) -> Iterator[str]:
    loaded = engine.load(io.BytesIO(archive({"compat-matrix-test": "engine"})))
    yield loaded
    if not isinstance(engine, FakeEngine):
        engine.client.remove_image(loaded)  # type: ignore[attr-defined]


def spec(image: str, code: str, *mounts: Mount) -> ContainerSpec:
    return ContainerSpec(image, PLATFORM, python(code), mounts=(*host_mounts(), *mounts))


def wait_end(container: Container) -> ContainerState:
    while container.pipe.read():
        pass
    deadline = time.monotonic() + 10
    while (state := container.state()).running and time.monotonic() < deadline:
        time.sleep(0.01)
    return state


def write_much(container: Container) -> None:
    for _ in range(50):
        container.pipe.write(b"x" * 65536)
        time.sleep(0.01)


def read_until(container: Container, text: bytes) -> bytes:
    output = b""
    while text not in output:
        block = container.pipe.read()
        assert block, output
        output += block
    return output


def test_what_is_written_comes_back_until_we_let_go(engine: ContainerEngine, image: str) -> None:
    with engine.start(spec(image, ECHO)) as container:
        for word in (b"one", b"two\n", b"\0\1\2"):
            container.pipe.write(word)
            assert read_until(container, word) == word
        assert container.state() == ContainerState(running=True, code=None, oom=False)
        container.pipe.close()
        deadline = time.monotonic() + 10
        while container.state().running:
            assert time.monotonic() < deadline, "its input did not end"
            time.sleep(0.01)


def test_much_goes_in_and_out_at_once(engine: ContainerEngine, image: str) -> None:
    data = bytes(range(256)) * 20_000
    result = engine.run(spec(image, ECHO), 60, data)
    assert (result.code, result.err, result.timed_out) == (0, b"", False)
    assert result.out == data


def test_exit_code_and_both_streams_are_told(engine: ContainerEngine, image: str) -> None:
    code = "import os,sys; os.write(1, b'out'); os.write(2, b'err'); sys.exit(7)"
    result = engine.run(spec(image, code), 30)
    assert (result.code, result.out, result.err, result.timed_out) == (7, b"out", b"err", False)
    with engine.start(spec(image, code)) as container:
        assert read_until(container, b"out") == b"out"
        assert wait_end(container) == ContainerState(running=False, code=7, oom=False)
        assert container.pipe.errors == "err"
        # It stays the same when the engine has removed the container.
        assert container.state().code == 7


def test_one_that_does_not_end_is_killed_and_what_it_said_is_kept(
    engine: ContainerEngine, image: str
) -> None:
    code = "import os,time; os.write(1, b'here'); time.sleep(600)"
    start = time.monotonic()
    result = engine.run(spec(image, code), 1.5)
    assert time.monotonic() - start < 20
    assert (result.out, result.timed_out) == (b"here", True)


def test_writing_to_one_that_has_ended_fails(engine: ContainerEngine, image: str) -> None:
    with engine.start(spec(image, "")) as container:
        assert wait_end(container).code == 0
        start = time.monotonic()
        with pytest.raises(OSError, match=r"."):
            write_much(container)
        assert time.monotonic() - start < 10


def test_removing_twice_is_no_offence(engine: ContainerEngine, image: str) -> None:
    container = engine.start(spec(image, "import time; time.sleep(600)"))
    container.remove()
    assert not container.state().running
    container.remove()


def test_mounted_folders_are_there(engine: ContainerEngine, image: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "word").write_text("of mine")
    code = "import sys; print(open(sys.argv[1]).read(), end='')"
    mounted = spec(image, code, Mount(tmp_path, "/cell/here"))
    with_path = dataclasses.replace(mounted, argv=[*mounted.argv, "/cell/here/word"])
    result = engine.run(with_path, 30)
    assert (result.out, result.err, result.code) == (b"of mine", b"", 0)


def test_its_environment_is_what_was_asked_for(engine: ContainerEngine, image: str) -> None:
    code = "import os; print(os.environ.get('WORD'), os.environ.get('COMPAT_MATRIX_CACHE'))"
    with_variable = dataclasses.replace(spec(image, code), environment={"WORD": "a=b c"})
    assert engine.run(with_variable, 30).out == b"a=b c None\n"


def test_an_image_says_what_it_is(engine: ContainerEngine, image: str) -> None:
    info = engine.image(image)
    assert info is not None
    assert (info.id, info.platform) == (image, PLATFORM)
    assert info.labels["compat-matrix-test"] == "engine"
    assert engine.image("compat-matrix-none:nowhere") is None
    # It has no label of the project, so it is not one of its images.
    assert image not in {own.id for own in engine.images()}


def test_what_cannot_be_started_is_refused(
    engine: ContainerEngine, image: str, tmp_path: Path
) -> None:
    valid = spec(image, "")
    invalid = {
        "no such image": ContainerSpec("compat-matrix-none:x", PLATFORM, valid.argv),
        "another platform": ContainerSpec(image, OTHER, valid.argv, mounts=valid.mounts),
        "no such folder": spec(image, "", Mount(tmp_path / "none", "/cell")),
    }
    for name, refused in invalid.items():
        with pytest.raises(ContainerError):
            pytest.fail(f"{name}: started {engine.start(refused).id}")


def test_the_cause_is_told_where_the_engine_was_quicker_to_remove_it(
    engine: ContainerEngine, image: str
) -> None:
    missing = ContainerSpec(image, PLATFORM, ["/there/is/no/such/program"])
    for _ in range(5):
        with pytest.raises(ContainerError) as caught:
            engine.start(missing)
        assert "no such program" in str(caught.value).lower().replace("/", " ")


def test_what_is_no_archive_is_refused(engine: ContainerEngine) -> None:
    with pytest.raises(ContainerError):
        engine.load(io.BytesIO(b"this is no archive" * 1000))
