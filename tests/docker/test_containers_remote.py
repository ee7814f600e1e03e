"""An engine that does not share our files: one in a mount namespace where they are hidden."""

from __future__ import annotations

import dataclasses
import io
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.own_engine import OwnEngine, obstacle
from helpers.small_image import CPU, archive, host_mounts, python

from matrix.docker.connect import connect
from matrix.docker.engine import DockerEngine
from matrix.docker.interface import ContainerError, ContainerSpec, Mount
from matrix.docker.labels import lock_run

NO_UNSHARE = "" if shutil.which("unshare") else "there is no unshare on PATH"
pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(bool(obstacle() or NO_UNSHARE), reason=obstacle() or NO_UNSHARE or "fine"),
]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ours")


@pytest.fixture(scope="module")
def docker(ours: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnEngine]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    hidden = 'mount -t tmpfs none "$0" && exec "$@"'
    engine = OwnEngine(
        tmp_path_factory.mktemp("engine"),
        *("unshare", "--mount", "sh", "-c", hidden, str(ours)),
        listen=f"tcp://127.0.0.1:{port}",
    )
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


@pytest.fixture
def engine(
    docker: OwnEngine, ours: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DockerEngine]:
    monkeypatch.setenv("DOCKER_HOST", docker.host)
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(ours / "cache"))
    with lock_run() as run, connect(run) as engine:
        yield engine


@pytest.fixture
def image(engine: DockerEngine) -> str:
    return engine.load(io.BytesIO(archive({"compat-matrix-test": "remote"})))


@pytest.fixture(autouse=True)
def programs(engine: DockerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bind this machine's programs, as if the engine's machine had them, too."""
    bind = DockerEngine._bind

    def bind_programs(self: DockerEngine, mount: Mount, spec: ContainerSpec) -> object:
        if str(mount.source) == mount.target:
            return {"Type": "bind", "Source": mount.target, "Target": mount.target}
        return bind(self, mount, spec)

    monkeypatch.setattr(DockerEngine, "_bind", bind_programs)


def spec(image: str, *mounts: Mount) -> ContainerSpec:
    code = "print(open('/cell/here/deep/word').read(), end='')"
    return ContainerSpec(image, f"linux/{CPU}", python(code), mounts=(*host_mounts(), *mounts))


def folder(ours: Path, word: str) -> Path:
    (ours / word / "deep").mkdir(parents=True)
    (ours / word / "deep" / "word").write_text(word)
    (ours / word / "deep").chmod(0o700)
    return ours / word


def volumes(engine: DockerEngine) -> set[str]:
    return {str(v["Name"]) for v in engine.client.volumes()["Volumes"] or ()}


def test_it_knows_that_it_does_not_see_our_files(engine: DockerEngine) -> None:
    assert not engine.info.shares_files


def test_folders_are_copied_once_by_key_and_over_tcp_all_is_the_same(
    engine: DockerEngine, image: str, ours: Path
) -> None:
    mount = Mount(folder(ours, "first"), "/cell/here", key="the key")
    result = engine.run(spec(image, mount), 60)
    assert (result.code, result.out, result.err) == (0, b"first", b"")
    before = volumes(engine)
    # The key identifies the content: it is not read again.
    (mount.source / "deep" / "word").write_text("changed")
    assert engine.run(spec(image, mount), 60).out == b"first"
    assert volumes(engine) == before
    # Without a key the content identifies itself.
    bare = dataclasses.replace(mount, key="")
    assert engine.run(spec(image, bare), 60).out == b"changed"
    (mount.source / "deep" / "word").write_text("again")
    assert engine.run(spec(image, bare), 60).out == b"again"
    # Complete copies outlive the run, and the containers that filled them are gone.
    assert engine.sweep() == 0
    assert engine.client.containers(all=True) == []


def test_a_copy_that_was_not_finished_is_not_used_and_is_swept(
    engine: DockerEngine, image: str, ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount = Mount(folder(ours, "second"), "/cell/here", key="another key")
    before = volumes(engine)
    with lock_run() as doomed, connect(doomed) as other:

        def cut_off(*_: object) -> None:
            raise OSError("connection lost")

        monkeypatch.setattr(other.client, "put_archive", cut_off)
        with pytest.raises(ContainerError):
            other.start(spec(image, mount))
        half = volumes(engine) - before
        assert len(half) == 1
        assert engine.sweep() == 0  # its run lives
    assert engine.run(spec(image, mount), 60).out == b"second"
    assert engine.sweep() == 1
    assert not half & volumes(engine)
    assert engine.run(spec(image, mount), 60).out == b"second"


def test_what_would_have_to_come_back_is_refused(
    engine: DockerEngine, image: str, ours: Path
) -> None:
    mount = Mount(folder(ours, "third"), "/cell/here", writable=True)
    with pytest.raises(ContainerError, match="does not share our files"):
        engine.start(spec(image, mount))
