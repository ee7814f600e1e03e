"""Trees: files for the image's tags, linked, compiled, and complete."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import sys
import threading
from pathlib import Path

import pytest
from helpers.environment_fakes import INTERPRETER
from helpers.tree_fakes import REQUIREMENTS, TreeFakes, image, wheel

from matrix.environments.download import unpack
from matrix.environments.errors import BuildError
from matrix.model.environment import Environment
from matrix.model.reason import Reason

AMD64, I686, ARM64 = image(), image("linux_i686"), image("linux_aarch64")
MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"
FILES = {
    "ddtrace-1.9.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl": wheel(
        "ddtrace", "1.9.0", {"ddtrace/__init__.py": "cpu = 'x86_64'"}
    ),
    "ddtrace-1.9.0-cp311-cp311-manylinux_2_12_i686.manylinux2010_i686.whl": wheel(
        "ddtrace", "1.9.0", {"ddtrace/__init__.py": "cpu = 'i686'"}
    ),
    "shop-2.0-py3-none-any.whl": wheel(
        "shop", "2.0", {"shop/__init__.py": "", "shop/of_python_2.py": "print 'hello'"}
    ),
}


def make_world(folder: Path) -> TreeFakes:
    world = TreeFakes(folder, dict(FILES))
    world.add_images(AMD64, I686, ARM64)
    return world


def tree(environment: Environment) -> Path:
    assert environment.tree is not None
    return environment.tree


def test_a_tree_has_the_files_for_its_image(tmp_path: Path) -> None:
    store = make_world(tmp_path).store()
    environments = {item.target: store.ensure(item, REQUIREMENTS) for item in (AMD64, I686)}
    for target, environment in environments.items():
        text = (tree(environment) / "ddtrace" / "__init__.py").read_text()
        assert text == f"cpu = {target.removeprefix('linux_')!r}"
    assert environments["linux_x86_64"].key != environments["linux_i686"].key
    environment = environments["linux_i686"]
    assert (environment.image, environment.python) == (I686, Path(I686.executable))
    assert environment.interpreter.libc == "glibc 2.36"
    assert [line.partition(" ")[0] for line in environment.lock] == ["ddtrace==1.9.0", "shop==2.0"]
    assert all(line.count("--hash") == 1 for line in environment.lock)
    # Nothing but what pip would have put there.
    assert {path.name for path in tree(environment).iterdir()} == {
        *("ddtrace", "ddtrace-1.9.0.dist-info", "shop", "shop-2.0.dist-info")
    }


def test_a_tree_is_made_once_and_looked_up_from_then_on(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    store = world.store()
    assert store.peek(I686, REQUIREMENTS) is None
    made = store.ensure(I686, REQUIREMENTS)
    assert store.ensure(I686, REQUIREMENTS) == made
    again = dataclasses.replace(world, files={}).store(offline=True)
    assert again.peek(I686, REQUIREMENTS) == made
    assert again.ensure(I686, REQUIREMENTS) == made
    assert len(world.resolved) == 1


def test_another_image_of_the_same_kind_shares_the_tree(tmp_path: Path) -> None:
    world, other = make_world(tmp_path), image("linux_i686", name="another")
    first = world.store().ensure(I686, REQUIREMENTS)
    second = world.store().ensure(other, REQUIREMENTS)
    assert (second.key, second.tree) == (first.key, first.tree)
    assert second.image == other


def test_byte_code_is_made_in_the_image_where_this_machine_has_no_such_cpython(
    tmp_path: Path,
) -> None:
    world = make_world(tmp_path)
    store = world.store()
    made = tree(store.ensure(AMD64, REQUIREMENTS))
    compiled = {path.name.partition(".")[0] for path in made.rglob("*.pyc")}
    assert compiled == {"__init__"}  # the file for Python 2 has none
    assert world.scripts == [(AMD64.id, "compile")]
    store.ensure(I686, REQUIREMENTS)
    # Once for each wheel and minor: only the other CPU's tracer is left to do.
    assert world.scripts == [(AMD64.id, "compile"), (I686.id, "compile")]
    assert len(world.engine.started[1].mounts) == 1


def test_byte_code_is_used_for_the_linked_source(tmp_path: Path) -> None:
    item = image(python=f"{MINOR}.0")
    interpreter = dataclasses.replace(
        INTERPRETER, executable=Path(sys.executable), version=f"{MINOR}.0"
    )
    world = TreeFakes(tmp_path, {"ddtrace-1.9.0-py3-none-any.whl": wheel("ddtrace", "1.9.0")})
    world.interpreters = (interpreter,)
    made = tree(world.store().ensure(item, REQUIREMENTS))
    (compiled,) = made.rglob("*.pyc")
    raw = compiled.read_bytes()
    stat = (made / "ddtrace.py").stat()
    assert int.from_bytes(raw[8:12], "little") == int(stat.st_mtime)
    assert int.from_bytes(raw[12:16], "little") == stat.st_size
    assert world.scripts == []
    assert stat.st_nlink > 1


def test_no_wheel_for_the_target_is_told(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    with pytest.raises(BuildError) as caught:
        world.store().ensure(ARM64, REQUIREMENTS)
    assert caught.value.reason is Reason.NO_WHEEL
    assert caught.value.detail == (
        "ddtrace 1.9.0 has no wheel for CPython 3.11 on linux_aarch64 (glibc 2.36)"
    )
    assert world.fetched == []


def test_cpython_2_without_one_on_this_machine_is_told(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"needs a CPython 2\.7") as caught:
        make_world(tmp_path).store().ensure(image(python="2.7.18"), REQUIREMENTS)
    assert caught.value.reason is Reason.NO_INTERPRETER


def test_another_file_than_the_index_told_is_not_used(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.served = dict.fromkeys(FILES, b"another")
    store = world.store()
    with pytest.raises(BuildError, match="does not have the hash") as caught:
        store.ensure(AMD64, REQUIREMENTS)
    assert caught.value.reason is Reason.WRONG_INSTALL
    assert list((tmp_path / "environments").glob("files/*")) == []


def test_offline_tells_what_is_missing(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    with pytest.raises(BuildError, match=r"shop-2\.0-py3-none-any\.whl") as caught:
        world.store(offline=True).ensure(AMD64, REQUIREMENTS)
    assert caught.value.reason is Reason.INDEX_UNAVAILABLE
    assert world.fetched == []


def test_an_index_that_was_away_for_a_moment_costs_nothing_twice(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.unavailable = 1
    assert world.store().ensure(AMD64, REQUIREMENTS).key
    # Two files, and once more the one that did not come.
    assert len(world.fetched) == 3
    assert len(set(world.fetched)) == 2


def test_a_damaged_wheel_and_one_that_writes_outside_are_refused(tmp_path: Path) -> None:
    for number, content in enumerate(
        (b"PK no zip", wheel("shop", "2.0", {"../../../escaped.py": ""}))
    ):
        world = make_world(tmp_path / str(number))
        world.files["shop-2.0-py3-none-any.whl"] = content
        with pytest.raises(BuildError) as caught:
            world.store().ensure(AMD64, REQUIREMENTS)
        assert caught.value.reason is Reason.BUILD_FAILED
        assert list(tmp_path.rglob("escaped.py")) == []
        assert list(tmp_path.rglob("trees/*")) == []


def test_a_lost_engine_is_not_held_against_the_cell(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    store = world.store()
    world.engine.lost = True
    with pytest.raises(BuildError) as caught:
        store.ensure(AMD64, REQUIREMENTS)
    assert caught.value.reason is Reason.ENGINE_LOST
    world.engine.lost = False
    assert store.ensure(AMD64, REQUIREMENTS).key


def test_a_killed_run_leaves_no_half_tree(tmp_path: Path) -> None:
    def die(folder: Path) -> dict[str, str]:
        raise KeyboardInterrupt

    world = make_world(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        dataclasses.replace(world.store(), read_installed=die).ensure(AMD64, REQUIREMENTS)
    assert world.store().peek(AMD64, REQUIREMENTS) is None
    assert list((tmp_path / "environments" / "trees").iterdir()) == []
    half = tmp_path / "environments" / "trees" / ".part-of-another"
    half.mkdir()
    assert world.store().ensure(AMD64, REQUIREMENTS).key
    assert not half.exists()


def test_threads_make_one_tree_once(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    both = threading.Barrier(2)

    def make(_: int) -> str:
        store = world.store()
        both.wait()
        return store.ensure(AMD64, REQUIREMENTS).key

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(make, range(2)))) == 1
    assert len(world.resolved) == 1
    assert sorted(world.fetched) == sorted(name for name in FILES if "i686" not in name)


def test_a_tree_that_was_in_use_is_not_changed_by_a_new_one(tmp_path: Path) -> None:
    store = make_world(tmp_path).store()
    first = tree(store.ensure(AMD64, REQUIREMENTS))
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    store.ensure(I686, REQUIREMENTS)
    store.ensure(AMD64, dataclasses.replace(REQUIREMENTS, also=()))
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*")} == before


def test_a_wheel_that_would_fill_the_disk_is_not_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "shop-2.0-py3-none-any.whl"
    file.write_bytes(wheel("shop", "2.0", {"shop.py": "#" * 2000}))
    with pytest.raises(BuildError, match="would unpack to"):
        unpack(file, tmp_path / "unpacked", max_bytes=1000)
    assert list(tmp_path.rglob("shop.py")) == []
