"""A server in a container of a real engine: reached from here, reaching nothing, and swept."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.container_jobs import real_image
from helpers.toy_image import image_recipe, overrides
from helpers.toy_services import exchange_bytes, toy_services, wait_until

from matrix.docker.cleanup import list_containers, list_networks
from matrix.docker.connect import connect
from matrix.docker.engine import DockerEngine
from matrix.docker.labels import lock_run
from matrix.model.environment import Image
from matrix.services.supervised import sweep
from matrix.system.paths import project_root

pytestmark = pytest.mark.engine


@pytest.fixture
def below() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ts-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def engine(runs: Path) -> Iterator[DockerEngine]:
    with lock_run(runs) as run, connect(run) as engine:
        yield engine


@pytest.fixture(scope="module")
def image(engine: DockerEngine) -> Image:
    return real_image(engine)


def engine_objects(engine: DockerEngine) -> set[tuple[str, str]]:
    """Return kind and name of the engine's objects other than images."""
    return {
        (item.kind, item.name)
        for list_objects in (list_containers, list_networks)
        for item in list_objects(engine.client)
    }


def test_a_server_in_a_container_is_reached_reaches_nothing_and_leaves_nothing(
    below: Path, engine: DockerEngine, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, value in overrides(image):
        monkeypatch.setattr(module, name, value)
    before = engine_objects(engine)
    with toy_services(below, image_recipe(image), engine=engine) as services:
        service = services.ensure("toy")
        assert str(service.identity) == "toy: memcached 1.0"
        assert exchange_bytes(service.forwards[0].path, b"go\n") == b"alone\n"
        assert len(engine_objects(engine) - before) == 2
    assert engine_objects(engine) == before
    assert list(below.iterdir()) == []


_RUN = """
import sys, time
sys.path[:0] = [{root!r}, {root!r} + "/tests"]
from pathlib import Path
from helpers.container_jobs import real_image
from helpers.toy_image import image_recipe, overrides
from helpers.toy_services import toy_services
from matrix.docker.connect import connect
from matrix.docker.labels import lock_run
with lock_run(Path({runs!r})) as run, connect(run) as engine:
    image = real_image(engine)
    for module, name, value in overrides(image):
        setattr(module, name, value)
    services = toy_services(Path({below!r}), image_recipe(image), engine=engine)
    services.ensure("toy")
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.mark.usefixtures("image")
def test_a_run_that_is_killed_ends_its_server_and_the_rest_is_swept(
    below: Path, runs: Path, engine: DockerEngine
) -> None:
    before = engine_objects(engine)
    code = _RUN.format(root=str(project_root()), runs=str(runs), below=str(below))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"ready\n"
        assert len(engine_objects(engine) - before) == 2
        run.kill()
    # The container by the end of its input, the network by the next run.
    wait_until(lambda: len(engine_objects(engine) - before) == 1, 30.0)
    engine.sweep()
    assert engine_objects(engine) == before
    assert sweep(below) == 1
    assert list(below.iterdir()) == []
