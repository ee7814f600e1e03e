"""Tests of the command `clean`: it removes what the project made, and nothing else."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.own_engine import OwnEngine, obstacle, own_engine
from helpers.small_image import CPU, archive, host_mounts, python

from matrix.__main__ import main
from matrix.cli.clean import CACHE, RESULTS, Leftover
from matrix.docker.connect import connect
from matrix.docker.engine import DockerEngine
from matrix.docker.image_store import PULLED
from matrix.docker.interface import ContainerSpec
from matrix.docker.labels import OWNER, PROJECT_LABELS, lock_run
from matrix.errors import ExitCode
from matrix.runs.journal import lock_results


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COMPAT_MATRIX_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    return tmp_path


def fill(folder: Path, names: frozenset[str]) -> None:
    for name in sorted(names):
        if "." in name:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("x" * 10)
        else:
            (folder / name / "deep").mkdir(parents=True)
            (folder / name / "deep" / "file").write_text("x" * 10)


def test_without_an_engine_there_is_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["clean"]) == ExitCode.OK
    captured = capsys.readouterr()
    assert "no container engine answers" in captured.err
    assert captured.out == "freed 0 bytes\n"


def test_while_a_shard_runs_nothing_goes(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shard = folders / "results" / "shards" / "0a1b" / "linux_x86_64-01"
    with lock_results(shard):
        assert main(["clean", "--results"]) == ExitCode.ANOTHER_RUN
        assert str(shard) in capsys.readouterr().err
    assert main(["clean", "--results"]) == ExitCode.OK
    assert not shard.exists()


def test_caches_and_results_go_only_when_asked_for_and_only_ours(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(folders / "cache", CACHE)
    fill(folders / "results", RESULTS - {"run.lock", "run.pid"})
    (folders / "cache" / "thesis.txt").write_text("of another user")
    outside = folders / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    (folders / "cache" / "index" / "link").symlink_to(outside)

    assert main(["clean"]) == ExitCode.OK
    assert main(["clean", "--cache", "--results", "--dry-run"]) == ExitCode.OK
    assert len(list((folders / "cache").iterdir())) == len(CACHE) + 1
    output = capsys.readouterr().out
    assert f"would remove {folders}/cache/environments (10 bytes)" in output

    assert main(["clean", "--cache"]) == ExitCode.OK
    assert [path.name for path in (folders / "cache").iterdir()] == ["thesis.txt"]
    assert (outside / "precious").exists()
    assert "thesis.txt: not made by this project" in capsys.readouterr().out
    assert (folders / "results" / "captures").exists()

    assert main(["clean", "--results"]) == ExitCode.OK
    assert not (folders / "results").exists() or not list((folders / "results").iterdir())


def test_read_only_folders_go_and_links_count_once(tmp_path: Path) -> None:
    folder = tmp_path / "trees"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "one").write_text("x" * 100)
    os.link(folder / "inner" / "one", folder / "two")
    (folder / "inner").chmod(0o500)
    assert Leftover(folder).size() == 100
    Leftover(folder).remove()
    assert not folder.exists()


def test_it_refuses_while_a_run_is_under_way(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(folders / "results", frozenset({"captures"}))
    with lock_results(folders / "results"):
        for options in ([], ["--results"], ["--force", "--results"]):
            assert main(["clean", *options]) == ExitCode.ANOTHER_RUN, options
    with lock_run():
        assert main(["clean", "--cache"]) == ExitCode.ANOTHER_RUN
        assert "under way" in capsys.readouterr().err
        assert main(["clean", "--dry-run"]) == ExitCode.OK
    assert (folders / "results" / "captures" / "deep" / "file").exists()
    assert main(["clean"]) == ExitCode.OK


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnEngine]:
    with own_engine(tmp_path_factory.mktemp("engine")) as engine:
        yield engine


@pytest.fixture
def engine(
    docker: OwnEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DockerEngine]:
    monkeypatch.setenv("DOCKER_HOST", docker.host)
    with lock_run(tmp_path / "elsewhere") as run, connect(run) as engine:
        yield engine


@pytest.mark.engine
@pytest.mark.skipif(bool(obstacle()), reason=obstacle() or "an engine can be started")
def test_all_of_ours_goes_and_nothing_else(
    engine: DockerEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = engine.client
    ours = engine.load(io.BytesIO(archive(PROJECT_LABELS, tag="compat-matrix:one")))
    other = {"compat-matrix.project": "another"}
    theirs = engine.load(io.BytesIO(archive(other, tag="compat-matrix-like:one")))
    # An image that a user built on ours inherits our label, and has another name.
    derived = engine.load(io.BytesIO(archive({**PROJECT_LABELS, "x": "y"}, tag="mine:derived")))
    # Pulled images cannot have our label; they have our name.
    pulled = engine.load(io.BytesIO(archive({"pulled": "yes"}, tag=f"{PULLED}:abc")))
    with lock_run(tmp_path / "elsewhere") as run:
        dead = run.labels
    body = {"Image": theirs, "Cmd": ["x"]}
    engine.client.create_from_body({**body, "Labels": dead}, "dead", "")
    engine.client.create_from_body({**body, "Labels": {**dead, OWNER: "far:0:/x"}}, "far", "")
    engine.client.create_from_body(body, "stranger", "")
    # Created by a user from an image with our label: it inherits the label, but is not ours.
    engine.client.create_from_body({**body, "Image": derived}, "by-hand", "")
    client.create_volume("left", labels=dead)
    client.create_volume("strange", labels={"compat-matrix": "no"})
    spec = ContainerSpec(
        ours, f"linux/{CPU}", python("import os; os.read(0, 1)"), mounts=host_mounts()
    )

    def names() -> set[str]:
        return {str(c["Names"][0]).strip("/") for c in client.containers(all=True)}

    before = names()
    assert main(["clean", "--dry-run"]) == ExitCode.OK
    assert names() == before
    assert "would remove image compat-matrix:one" in capsys.readouterr().out

    with engine.start(spec) as container:
        assert main(["clean"]) == ExitCode.OK
        output = capsys.readouterr().out
        # Objects of living runs and of other machines stay with their images, and are listed.
        assert container.state().running
        assert engine.image(ours) is not None
        assert output.count("its run is under way") == 1
        assert "left container far: made from another machine" in output
        assert "left image" in output
        assert "removed container dead" in output
        assert "removed volume left" in output
    assert names() == {"by-hand", "far", "stranger"}
    assert engine.image(pulled) is None
    assert engine.image(derived) is not None

    assert main(["clean", "--force"]) == ExitCode.OK
    assert names() == {"by-hand", "stranger"}
    left = {tag for image in client.images() for tag in image["RepoTags"] or ()}
    assert left == {"compat-matrix-like:one", "mine:derived"}
    assert [v["Name"] for v in client.volumes()["Volumes"]] == ["strange"]
    client.remove_container("stranger")
    client.remove_container("by-hand")
