"""Images pulled by digest, by an engine of the tests' own from a registry on loopback."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.own_engine import OwnEngine, obstacle, own_engine
from helpers.small_image import CPU
from helpers.small_registry import SmallRegistry, small_registry

from matrix.docker.connect import connect
from matrix.docker.engine import DockerEngine
from matrix.docker.image_store import PULLED
from matrix.docker.interface import ContainerError
from matrix.docker.labels import lock_run

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(bool(obstacle()), reason=obstacle() or "an engine can be started"),
]
PLATFORM = f"linux/{CPU}"


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnEngine]:
    with own_engine(tmp_path_factory.mktemp("engine")) as engine:
        yield engine


@pytest.fixture
def engine(
    docker: OwnEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DockerEngine]:
    monkeypatch.setenv("DOCKER_HOST", docker.host)
    with lock_run(tmp_path) as run, connect(run) as engine:
        yield engine


@pytest.fixture
def registry() -> Iterator[SmallRegistry]:
    with small_registry() as registry:
        yield registry


def test_what_was_pulled_is_ours_until_clean_takes_it(
    engine: DockerEngine, registry: SmallRegistry
) -> None:
    reference = registry.add("little", CPU)
    assert engine.image(reference) is None
    pulled = engine.pull(reference, PLATFORM, 60)
    image = engine.image(reference)
    assert image is not None
    assert (image.id, image.platform) == (pulled, PLATFORM)
    assert [tag.partition(":")[0] for tag in image.tags] == [PULLED]
    assert [image.id for image in engine.images()] == [pulled]
    # The second time no registry is needed.
    registry.blobs.clear()
    assert engine.pull(reference, PLATFORM, 60) == pulled
    assert [item.id for item in engine.clean().removed] == [pulled]
    assert engine.image(pulled) is None


def test_what_was_there_before_is_not_ours(engine: DockerEngine, registry: SmallRegistry) -> None:
    reference = registry.add("somebodys", CPU)
    engine.client.pull(reference)
    pulled = engine.pull(reference, PLATFORM, 60)
    assert engine.images() == ()
    assert engine.clean().removed == ()
    assert engine.image(pulled) is not None
    engine.client.remove_image(reference)


def test_one_of_another_platform_is_refused(engine: DockerEngine, registry: SmallRegistry) -> None:
    reference = registry.add("foreign", "s390x")
    with pytest.raises(ContainerError, match="s390x"):
        engine.pull(reference, PLATFORM, 60)
    # It was pulled all the same, and is ours to remove.
    assert len(engine.clean().removed) == 1


def test_what_is_not_there_is_told(engine: DockerEngine, registry: SmallRegistry) -> None:
    with pytest.raises(ContainerError, match="pulling"):
        engine.pull(f"{registry.host}/none@sha256:{'0' * 64}", PLATFORM, 60)


def test_a_registry_that_says_nothing_does_not_hold_us(
    engine: DockerEngine, registry: SmallRegistry
) -> None:
    reference = registry.add("slow", CPU)
    registry.silent = True
    start = time.monotonic()
    with pytest.raises(ContainerError, match="not done in 2 s"):
        engine.pull(reference, PLATFORM, 2)
    assert time.monotonic() - start < 10
