"""What decides is what was built: changed files are named, thrown away, and built again."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest
from helpers.environment_fakes import INTERPRETER, REQUIREMENTS, FakeInstaller, store_with
from helpers.run_fakes import MINIMUM, FakeEnvironments, capture, planned
from helpers.tree_fakes import REQUIREMENTS as TREE_REQUIREMENTS
from helpers.tree_fakes import TreeFakes, image, source, wheel

from matrix.environments.installers import UvInstaller
from matrix.environments.lock import find_damaged, parse_lock
from matrix.environments.manifest import Manifests
from matrix.environments.toolbox import Command, CommandResult, Toolbox
from matrix.model.capture import CellCapture
from matrix.model.environment import Environment
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.runs.checked import CheckedRunner
from matrix.runs.interface import CellRequest, CellResult, Report
from matrix.runs.journal import is_transient

AMD64 = image()
_SETTLED = 0.12
"""Longer than two changes of a file may have one time."""


def append_in_place(path: Path) -> None:
    """Change a file as H1 does, with its times set back; a link to it changes as well."""
    before = path.stat()
    with path.open("r+b") as file:
        first = file.read(1) or b"x"
        file.seek(0)
        file.write(bytes([first[0] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def add_byte_code(path: Path) -> None:
    (path.parent / "METADATA.pyc").write_bytes(b"x")


def remove(path: Path) -> None:
    path.unlink()


def replace_by_a_link(path: Path) -> None:
    copy = path.with_name("other")
    shutil.copy2(path, copy)
    path.unlink()
    path.symlink_to(copy)


@pytest.mark.parametrize("change", [append_in_place, add_byte_code, remove, replace_by_a_link])
def test_a_changed_environment_is_named_and_built_again(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    if sys.platform == "win32" and change in (append_in_place, replace_by_a_link):
        pytest.skip("no ctime and no links without a privilege there")
    installer = FakeInstaller()
    store = store_with(tmp_path, installer)
    first = store.ensure(INTERPRETER, REQUIREMENTS)
    assert first.folder is not None
    assert not first.notices
    time.sleep(_SETTLED)
    assert store.ensure(INTERPRETER, REQUIREMENTS).built == first.built
    change(next(first.folder.rglob("ddtrace-1.9.0.dist-info/METADATA")))
    second = store.ensure(INTERPRETER, REQUIREMENTS)
    assert installer.built == 2
    assert second.built != first.built
    (notice,) = second.notices
    assert first.key in notice
    assert "ddtrace-1.9.0.dist-info/" in notice
    assert not store.ensure(INTERPRETER, REQUIREMENTS).notices, "it is said once"


def test_a_damaged_manifest_means_another_build(tmp_path: Path) -> None:
    installer = FakeInstaller()
    store = store_with(tmp_path, installer)
    made = store.ensure(INTERPRETER, REQUIREMENTS)
    path = store.root / "manifests" / "envs" / f"{made.key}.json"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    assert "manifest is missing or damaged" in store.ensure(INTERPRETER, REQUIREMENTS).notices[0]
    assert installer.built == 2


@pytest.fixture
def built(tmp_path: Path) -> tuple[Manifests, Path]:
    folder = tmp_path / "envs" / "one"
    folder.mkdir(parents=True)
    (folder / "module.py").write_text("x = 1")
    time.sleep(_SETTLED)
    manifests = Manifests(tmp_path)
    manifests.write(folder)
    return manifests, folder


def test_another_link_to_a_file_is_no_change(tmp_path: Path, built: tuple[Manifests, Path]) -> None:
    _, folder = built
    os.link(folder / "module.py", tmp_path / "link")
    assert Manifests(tmp_path).find_change(folder) == ""
    append_in_place(tmp_path / "link")
    if sys.platform != "win32":
        assert Manifests(tmp_path).find_change(folder) == "module.py was changed"


def test_what_metadata_hide_is_found_where_contents_are_read(
    tmp_path: Path, built: tuple[Manifests, Path]
) -> None:
    _, folder = built
    append_in_place(folder / "module.py")
    time.sleep(_SETTLED)
    # As if the clock had been set back for the change: the manifest has its times.
    changed = Manifests(tmp_path)
    forged = Manifests(tmp_path).read(folder)
    assert forged is not None
    digests = {path: digest for path, (_, digest) in forged.files.items()}
    now = changed.write(folder)
    forged.files.update({path: (now.files[path][0], digests[path]) for path in digests})
    changed._store(folder, forged)
    assert Manifests(tmp_path).find_change(folder) == ""
    assert Manifests(tmp_path).find_change(folder, content=True) == "module.py was changed"


def test_a_change_within_a_tick_of_the_clock_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "envs" / "one"
    folder.mkdir(parents=True)
    for number in range(200):
        path = folder / "module.py"
        path.write_text("x = 1")
        manifests = Manifests(tmp_path)
        manifests.write(folder)
        append_in_place(path)
        assert Manifests(tmp_path).find_change(folder), number
        path.unlink()


def test_a_changed_wheel_of_the_cache_is_unpacked_again(tmp_path: Path) -> None:
    world = TreeFakes(tmp_path, {"ddtrace-1.9.0-py3-none-any.whl": wheel("ddtrace", "1.9.0")})
    world.add_images(AMD64)
    made = world.store().ensure(AMD64, TREE_REQUIREMENTS)
    (unpacked,) = (tmp_path / "environments" / "unpacked").rglob("ddtrace.py")
    assert made.tree is not None
    assert unpacked.samefile(made.tree / "ddtrace.py")
    time.sleep(_SETTLED)
    append_in_place(unpacked)
    store = world.store()
    again = store.ensure(AMD64, TREE_REQUIREMENTS)
    assert again.tree is not None
    assert (again.tree / "ddtrace.py").read_text() == "version = '1.9.0'"
    assert len(again.notices) == 2, "the tree, and what it was linked from"
    assert all("ddtrace.py was changed" in notice for notice in again.notices)


def test_a_changed_file_of_the_cache_is_fetched_again(tmp_path: Path) -> None:
    world = TreeFakes(tmp_path, {"ddtrace-1.9.0-py3-none-any.whl": wheel("ddtrace", "1.9.0")})
    world.add_images(AMD64)
    world.store().ensure(AMD64, TREE_REQUIREMENTS)
    (file,) = (tmp_path / "environments" / "files").rglob("*.whl")
    append_in_place(file)
    for name in ("trees", "unpacked"):
        shutil.rmtree(tmp_path / "environments" / name)
    again = world.store().ensure(AMD64, TREE_REQUIREMENTS)
    assert world.fetched == ["ddtrace-1.9.0-py3-none-any.whl"] * 2
    assert str(file) in again.notices[0]


def test_a_changed_wheel_that_was_built_here_is_built_again(tmp_path: Path) -> None:
    world = TreeFakes(tmp_path, {"ddtrace-1.9.0.tar.gz": source("ddtrace", "1.9.0")})
    content = wheel("ddtrace", "1.9.0")
    world.builds = lambda _: ("ddtrace-1.9.0-py3-none-any.whl", content)
    world.add_images(AMD64)
    requirements = dataclasses.replace(TREE_REQUIREMENTS, only_binary=())
    world.store().ensure(AMD64, requirements)
    (file,) = (tmp_path / "environments" / "wheels").rglob("*.whl")
    append_in_place(file)
    shutil.rmtree(tmp_path / "environments" / "trees")
    again = world.store().ensure(AMD64, requirements)
    assert file.read_bytes() == content
    assert any("ddtrace-1.9.0-py3-none-any.whl was changed" in text for text in again.notices)


class UvWithDamage:
    """A uv whose cache has a changed file until it is cleaned."""

    def __init__(self) -> None:
        self.cleaned: list[tuple[str, list[str]]] = []

    def __call__(self, command: Command) -> CommandResult:
        words = list(command.argv)
        if "venv" in words:
            Path(words[words.index("--python") + 2], "lib/python3.9/site-packages").mkdir(
                parents=True
            )
        elif "install" in words:
            site = Path(words[words.index("--python") + 1], "lib/python3.9/site-packages")
            info = site / "envier-1.0.dist-info"
            info.mkdir()
            (site / "envier.py").write_text("x = 1" if self.cleaned else "x = 2")
            digest = Manifests(site).sha256(_written(site.parent / "whole.py", "x = 1"))
            (info / "RECORD").write_text(
                f"envier.py,sha256={digest},5\nenvier-1.0.dist-info/RECORD,,\n../x,sha256=1,1\n"
            )
        elif "clean" in words:
            names = words[words.index("clean") + 1 : words.index("--quiet")]
            self.cleaned.append((Path(command.environ["UV_CACHE_DIR"]).name, names))
        return CommandResult(0, "", "")


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_changed_file_in_the_cache_of_uv_is_fetched_again(tmp_path: Path) -> None:
    uv = UvWithDamage()
    tools = Toolbox(tmp_path, "https://index.example/simple", False, uv, 60)
    lock = parse_lock(f"envier==1.0 --hash=sha256:{'a' * 64}")
    UvInstaller(tools).build(INTERPRETER, REQUIREMENTS, lock, tmp_path / "env")
    assert uv.cleaned == [("uv", ["envier"]), ("uv-sources", ["envier"])]
    assert next((tmp_path / "env").rglob("envier.py")).read_text() == "x = 1"
    (notice,) = tools.take_notices()
    assert "envier.py" in notice


def test_a_file_of_two_distributions_may_be_that_of_any(tmp_path: Path) -> None:
    digest = Manifests(tmp_path).sha256(_written(tmp_path / "shared.py", "x = 1"))
    for name, recorded in (("a", digest), ("b", "other")):
        (tmp_path / f"{name}-1.dist-info").mkdir()
        record = tmp_path / f"{name}-1.dist-info" / "RECORD"
        record.write_text(f"shared.py,sha256={recorded},5\n")
    assert find_damaged(tmp_path, Manifests(tmp_path).sha256) == {}
    (tmp_path / "shared.py").write_text("x = 2")
    assert list(find_damaged(tmp_path, Manifests(tmp_path).sha256).values()) == ["shared.py"]


class ChangingRunner:
    """A runner whose cell does something to its environment."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def submit(self, request: CellRequest, report: Report) -> Future[CellResult]:
        self.act()
        future: Future[CellResult] = Future()
        future.set_result(CellResult(capture(MINIMUM, request.key)))
        return future

    def kill(self) -> None:
        pass


class StoredEnvironments(FakeEnvironments):
    """Environments with files, in a store."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__()
        self.installer = FakeInstaller()
        self.store = store_with(tmp_path, self.installer)

    def ensure(self, planned: PlannedCell, report: Report) -> Environment:
        return self.store.ensure(INTERPRETER, REQUIREMENTS)


def checked(environments: StoredEnvironments, act: Callable[[], object]) -> CellResult:
    manifests = Manifests(environments.store.root)
    runner = CheckedRunner(ChangingRunner(act), environments, manifests)
    request = CellRequest(0, planned(MINIMUM), None, "key")
    return runner.submit(request, lambda _: None).result(30)


def file_of(environments: StoredEnvironments) -> Path:
    folder = environments.store.ensure(INTERPRETER, REQUIREMENTS).folder
    assert folder is not None
    return next(folder.rglob("METADATA"))


def test_a_cell_runs_in_what_was_built(tmp_path: Path) -> None:
    environments = StoredEnvironments(tmp_path)
    path = file_of(environments)
    whole = path.read_bytes()
    path.write_bytes(b"changed")
    seen: list[bytes] = []
    result = checked(environments, lambda: seen.append(path.read_bytes()))
    assert seen == [whole]
    assert "METADATA was changed" in result.notice
    assert _capture(result).failed is None
    assert not checked(environments, lambda: None).notice


def test_no_result_rests_on_an_environment_that_changed_meanwhile(tmp_path: Path) -> None:
    environments = StoredEnvironments(tmp_path)
    path = file_of(environments)
    result = checked(environments, functools.partial(path.write_text, "changed"))
    assert _capture(result).failed is Reason.ENVIRONMENT_CHANGED
    assert "METADATA was changed" in _capture(result).detail
    assert is_transient(_capture(result))
    assert "METADATA was changed" in result.notice


def test_nor_on_one_that_was_built_again_meanwhile(tmp_path: Path) -> None:
    environments = StoredEnvironments(tmp_path)
    path = file_of(environments)

    def change_and_rebuild() -> None:
        path.write_bytes(b"changed")
        environments.store.ensure(INTERPRETER, REQUIREMENTS)

    result = checked(environments, change_and_rebuild)
    assert _capture(result).failed is Reason.ENVIRONMENT_CHANGED


def _capture(result: CellResult) -> CellCapture:
    assert result.capture is not None
    return result.capture


def test_a_manifest_has_a_digest_of_the_tree(built: tuple[Manifests, Path]) -> None:
    manifests, folder = built
    first = manifests.read(folder)
    second = manifests.write(folder)
    assert first is not None
    assert first.digest() == second.digest()
    (folder / "module.py").write_text("x = 3")
    assert manifests.write(folder).digest() != first.digest()
    data = json.loads((folder.parent.parent / "manifests" / "envs" / "one.json").read_text())
    assert data["tree"] != first.digest()
