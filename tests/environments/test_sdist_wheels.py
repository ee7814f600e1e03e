"""Source distributions: a wheel is built once, in a container, and checked."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import pytest
from helpers.tree_fakes import REQUIREMENTS, TreeFakes, image, source, wheel

from matrix.docker.interface import ContainerSpec
from matrix.environments.errors import BuildError
from matrix.environments.sdist_wheels import build_requires, tools_for
from matrix.model.reason import Reason

AMD64, I686, OTHER = image(), image("linux_i686"), image("linux_i686", name="another")
PURE = "shop-2.0-py3-none-any.whl"


def make_world(folder: Path, pyproject: str = "") -> TreeFakes:
    world = TreeFakes(
        folder,
        {
            "ddtrace-1.9.0-py3-none-any.whl": wheel("ddtrace", "1.9.0"),
            "shop-2.0.tar.gz": source("shop", "2.0", pyproject),
        },
    )
    world.add_images(AMD64, I686, OTHER)
    return world


def pure(_: ContainerSpec) -> tuple[str, bytes]:
    return PURE, wheel("shop", "2.0")


def for_one_cpu(spec: ContainerSpec) -> tuple[str, bytes]:
    cpu = {"linux/amd64": "x86_64", "linux/386": "i686"}[spec.platform]
    return f"shop-2.0-cp311-cp311-linux_{cpu}.whl", wheel("shop", "2.0")


def built(world: TreeFakes) -> list[str]:
    return [image for image, kind in world.scripts if kind == "build"]


def test_a_wheel_is_built_beside_what_it_needs_without_network(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.builds = pure
    environment = world.store().ensure(I686, REQUIREMENTS)
    assert environment.tree is not None
    assert (environment.tree / "shop.py").exists()
    (spec,) = (
        spec
        for spec in world.engine.started
        if any(m.target == "/cell/source" for m in spec.mounts)
    )
    assert spec.argv[:2] == ("/usr/bin/linux32", I686.executable)
    assert not spec.confinement.network
    assert not any(mount.writable for mount in spec.mounts)
    (tools,) = (mount.source for mount in spec.mounts if mount.target == I686.site)
    assert (tools / "pip.py").exists()
    assert not (tools / "ddtrace.py").exists()


def test_what_is_pure_is_built_once_for_all_cpus_natively_where_that_can_be(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.builds = pure
    assert world.store(native=AMD64).ensure(I686, REQUIREMENTS).key
    assert world.store(native=AMD64).ensure(AMD64, REQUIREMENTS).key
    assert built(world) == [AMD64.id]


def test_what_is_for_one_cpu_is_built_in_the_image_that_it_is_for(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.builds = for_one_cpu
    store = world.store(native=AMD64)
    first, second = store.ensure(I686, REQUIREMENTS), store.ensure(OTHER, REQUIREMENTS)
    assert built(world)[:2] == [AMD64.id, I686.id]
    assert OTHER.id in built(world)
    # Compiled against what is in one image: not for another.
    assert first.key != second.key
    assert first.lock == second.lock
    assert world.store().peek(I686, REQUIREMENTS) == first
    assert world.store().peek(OTHER, REQUIREMENTS) == second


def test_a_wheel_of_the_native_image_that_fails_is_tried_in_the_target(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.builds = lambda spec: "no" if spec.platform == "linux/amd64" else pure(spec)
    assert world.store(native=AMD64).ensure(I686, REQUIREMENTS).key
    assert built(world) == [AMD64.id, I686.id]


LOG = """\
  building 'shop._speed' extension
  i686-linux-gnu-gcc -c speed.c
  unable to execute 'i686-linux-gnu-gcc': No such file or directory
  error: command 'i686-linux-gnu-gcc' failed with exit status 1
  ----------------------------------------
ERROR: Failed building wheel for shop
ERROR: Failed to build one or more wheels
"""


def test_a_missing_compiler_is_told_in_one_line(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.builds = lambda _: LOG
    store = world.store()
    for _ in range(2):
        with pytest.raises(BuildError) as caught:
            store.ensure(I686, REQUIREMENTS)
    assert caught.value.reason is Reason.BUILD_FAILED
    assert caught.value.detail == (
        "cannot build shop-2.0.tar.gz in test: "
        "unable to execute 'i686-linux-gnu-gcc': No such file or directory"
    )
    assert len(built(world)) == 1


def test_a_build_that_had_no_memory_tells_nothing_of_its_source(tmp_path: Path) -> None:
    world = make_world(tmp_path)

    def build(_: ContainerSpec) -> str:
        until = time.monotonic() + 10
        while not world.engine.living and time.monotonic() < until:
            time.sleep(0.001)  # it is noted when it has been started
        (container,) = world.engine.living.values()
        threading.Thread(target=container.end, kwargs={"oom": True}).start()
        while not container.state().oom and time.monotonic() < until:
            time.sleep(0.001)
        return LOG

    world.builds = build
    with pytest.raises(BuildError, match="3072 MiB did not suffice") as caught:
        world.store().ensure(I686, REQUIREMENTS)
    assert caught.value.reason is Reason.OUT_OF_MEMORY


def test_a_build_that_asks_the_network_is_no_failure_of_the_index(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.builds = lambda _: "WARNING: connection refused\nRuntimeError: cannot fetch a file"
    with pytest.raises(BuildError, match="cannot fetch a file") as caught:
        world.store().ensure(I686, REQUIREMENTS)
    assert caught.value.reason is Reason.BUILD_FAILED


def test_what_setup_py_requires_is_given_in_the_next_round(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.tools["helper-1.0-py3-none-any.whl"] = wheel("helper", "1.0")

    def build(spec: ContainerSpec) -> tuple[str, bytes] | str:
        (tools,) = (mount.source for mount in spec.mounts if mount.target == I686.site)
        if (tools / "helper.py").exists():
            return pure(spec)
        return "ERROR: No matching distribution found for helper"

    world.builds = build
    assert world.store().ensure(I686, REQUIREMENTS).key


def test_what_never_gets_enough_ends(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.tools["helper-1.0-py3-none-any.whl"] = wheel("helper", "1.0")
    world.builds = lambda _: "ERROR: No matching distribution found for helper"
    with pytest.raises(BuildError, match="cannot build"):
        world.store().ensure(I686, REQUIREMENTS)
    assert len(built(world)) == 2


@pytest.mark.parametrize(
    "name",
    [
        "other-2.0-py3-none-any.whl",
        "shop-2.1-py3-none-any.whl",
        "../shop-2.0-py3-none-any.whl",
        "shop-2.0-cp311-cp311-linux_x86_64.whl",
        "shop",
        "",
    ],
)
def test_a_container_cannot_hand_over_something_else(tmp_path: Path, name: str) -> None:
    world = make_world(tmp_path)
    world.builds = lambda _: (name, wheel("shop", "2.0"))
    with pytest.raises(BuildError) as caught:
        world.store().ensure(I686, REQUIREMENTS)
    assert caught.value.reason is Reason.WRONG_INSTALL
    assert list(tmp_path.rglob("wheels/*/*/*")) == []


def test_what_pyproject_asks_for_is_there(tmp_path: Path) -> None:
    path = tmp_path / "shop-2.0.tar.gz"
    path.write_bytes(source("shop", "2.0", '[build-system]\nrequires = ["flit_core >=2"]\n'))
    assert build_requires(path) == ("flit_core>=2",)
    path.write_bytes(source("shop", "2.0"))
    assert build_requires(path) == ()


@pytest.mark.parametrize(
    "text", ["[build-system", "[build-system]\nrequires = ['==']", "a = 1\n" * 3]
)
def test_a_damaged_pyproject_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "shop-2.0.tar.gz"
    path.write_bytes(source("shop", "2.0", text))
    with pytest.raises(BuildError, match=r"shop-2\.0\.tar\.gz is damaged"):
        build_requires(path)


def test_old_pythons_get_the_last_tools_that_run_there() -> None:
    requirements = tools_for("2.7", "2015-01-01", ())
    assert requirements.pins == ("pip==20.3.4", "setuptools==44.1.1", "wheel==0.37.1")
    assert requirements.as_of.isoformat() == "2021-06-01"
    assert requirements.only_binary == (":all:",)


def test_a_source_may_ask_for_another_tool_than_ours() -> None:
    requirements = tools_for("3.7", "2024-06-01", ("setuptools<60", "wheel"))
    assert requirements.pins == ("pip==24.0", "wheel==0.42.0")
    assert requirements.also == ("setuptools<60",)
    assert requirements.as_of.isoformat() == "2024-06-01"


@pytest.mark.parametrize("python", ["2.7", "3.11"])
def test_no_tool_is_required_twice(python: str) -> None:
    requirements = tools_for(python, "", ("setuptools>=40.6.0", "wheel", "flit_core<4"))
    names = [re.split("[<=>]", item)[0] for item in (*requirements.pins, *requirements.also)]
    assert sorted(names) == ["flit_core", "pip", "setuptools", "wheel"]
