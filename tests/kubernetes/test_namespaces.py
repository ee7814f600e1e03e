"""Tests of the namespace of a run: what is in it, and that it goes, also after a crash."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.fake_kubernetes import (
    CONTEXT,
    Denial,
    FakeKubernetes,
    running_kubernetes,
    write_kubeconfig,
)

from matrix.docker.labels import OWNER, RUN
from matrix.errors import ClusterUnavailableError
from matrix.kubernetes.namespaces import run_namespace
from matrix.system.paths import project_root

ARCHIVE = b"0123456789" * 150_000


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubernetes]:
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(tmp_path / "cache"))
    with running_kubernetes() as server:
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "config", server.url)))
        yield server


def test_it_has_the_archive_in_pieces_and_says_whose_it_is(server: FakeKubernetes) -> None:
    with run_namespace(CONTEXT, ARCHIVE) as namespace:
        metadata = server.objects["namespaces", "", namespace.name]["metadata"]
        assert metadata["labels"] == dict(namespace.labels)
        assert namespace.name == f"compat-matrix-{metadata['labels'][RUN]}"
        assert metadata["annotations"]["compat-matrix.host"] == socket.gethostname()
        assert metadata["annotations"]["compat-matrix.pid"] == str(os.getpid())
        assert metadata["annotations"]["compat-matrix.started"]
        maps = [
            server.objects["configmaps", namespace.name, f"project-{number}"]["binaryData"]
            for number in range(namespace.pieces)
        ]
    files = {name: base64.b64decode(data) for files in maps for name, data in files.items()}
    assert len(files) == namespace.pieces == 3
    assert b"".join(files[name] for name in sorted(files)) == ARCHIVE
    assert all(len(content) < 1 << 20 for content in files.values())


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, RuntimeError])
def test_it_is_deleted_at_the_end_however_that_comes(
    server: FakeKubernetes, error: type[BaseException] | None
) -> None:
    def run() -> None:
        with run_namespace(CONTEXT, ARCHIVE):
            assert server.names("namespaces")
            if error is not None:
                raise error

    if error is None:
        run()
    else:
        with pytest.raises(error):
            run()
    assert server.objects == {}


def test_what_a_killed_run_left_is_deleted_by_the_next(server: FakeKubernetes) -> None:
    program = (
        "import os\n"
        "from matrix.kubernetes.namespaces import run_namespace\n"
        f"with run_namespace({CONTEXT!r}, b'archive'):\n"
        "    os._exit(9)\n"
    )
    path = os.pathsep.join([str(project_root()), *filter(None, sys.path)])
    killed = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        cwd=project_root(),
        check=False,
        timeout=120,
    )
    assert killed.returncode == 9
    (left,) = server.names("namespaces")
    with run_namespace(CONTEXT, ARCHIVE) as namespace:
        assert server.names("namespaces") == [namespace.name]
        assert namespace.name != left


def test_namespaces_of_others_stay(server: FakeKubernetes) -> None:
    """Of a living run, of one of another machine, and of another program."""
    with run_namespace(CONTEXT, ARCHIVE) as first:
        mine = server.objects["namespaces", "", first.name]["metadata"]
        elsewhere = {**mine["annotations"], OWNER: "another-host:1:/cache/runs"}
        labels = {**mine["labels"], RUN: "abcdef"}
        server.create(
            "namespaces",
            "",
            {"metadata": {"name": "other", "labels": labels, "annotations": elsewhere}},
        )
        server.create("namespaces", "", {"metadata": {"name": "default"}})
        with run_namespace(CONTEXT, ARCHIVE) as second:
            assert set(server.names("namespaces")) == {first.name, second.name, "other", "default"}
    assert set(server.names("namespaces")) == {"other", "default"}


@pytest.mark.parametrize(
    ("denial", "hint"),
    [
        (Denial("create", "namespaces", 403, "me cannot create namespaces"), "auth can-i create"),
        (Denial("create", "configmaps", 403, "exceeded quota: maps"), "auth can-i"),
        (Denial("list", "namespaces", 401, "Unauthorized"), "get namespaces"),
    ],
    ids=["namespace", "quota", "login"],
)
def test_a_refusal_is_an_error_of_the_user_and_leaves_nothing(
    server: FakeKubernetes, denial: Denial, hint: str
) -> None:
    server.denials.append(denial)
    with pytest.raises(ClusterUnavailableError) as caught, run_namespace(CONTEXT, ARCHIVE):
        pass
    assert denial.message in caught.value.message
    assert hint in caught.value.hint
    assert server.objects == {}
