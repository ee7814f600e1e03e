"""Committed locks in images: nothing is resolved where one fits, and what does not fit is."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from pathlib import Path

import pytest
from helpers.tree_fakes import REQUIREMENTS, TreeFakes, image, wheel

from matrix.environments.committed_locks import CommittedLock, CommittedLocks, TargetLocks
from matrix.environments.errors import BuildError
from matrix.environments.lock import LockedFile, dump_lock
from matrix.environments.store import LEGACY_PYTHONS
from matrix.model.environment import Image, Requirements
from matrix.model.reason import Reason

AMD64, I686, ARM64 = image(), image("linux_i686"), image("linux_aarch64")
TRACER, SHOP = "ddtrace-1.9.0-py3-none-any.whl", "shop-2.0-py3-none-any.whl"
FILES = {TRACER: wheel("ddtrace", "1.9.0"), SHOP: wheel("shop", "2.0")}
OTHER = {**FILES, SHOP: wheel("shop", "2.0", {"shop.py": "another = True"})}


def lock_of(files: dict[str, bytes]) -> tuple[str, ...]:
    return dump_lock(
        LockedFile(name.split("-")[0], name.split("-")[1], (hashlib.sha256(content).hexdigest(),))
        for name, content in files.items()
    )


def make_world(folder: Path, locked: dict[str, bytes], *, python: str = "3.11.7") -> TreeFakes:
    """Return fakes of an index with FILES, where a lock of other files may be committed."""
    world = TreeFakes(folder, dict(FILES))
    world.add_images(AMD64, I686, ARM64)
    committed = CommittedLock(python, REQUIREMENTS, lock_of(locked))
    locks = TargetLocks("linux_x86_64", "glibc", dt.date(2023, 3, 2), (committed,))
    CommittedLocks(folder / "facts").write(locks)
    return world


@pytest.mark.parametrize("item", [AMD64, I686], ids=lambda item: item.target)
def test_a_committed_lock_of_the_minor_is_used_and_nothing_is_resolved(
    tmp_path: Path, item: Image
) -> None:
    world = make_world(tmp_path, FILES)
    assert world.store().peek(item, REQUIREMENTS) is None
    made = world.store().ensure(item, REQUIREMENTS)
    assert made.lock == lock_of(FILES)
    assert made.notices == ()
    assert world.resolved == []
    assert world.store(offline=True).peek(item, REQUIREMENTS) == made


@pytest.mark.parametrize(
    ("item", "requirements"),
    [
        pytest.param(ARM64, REQUIREMENTS, id="target"),
        pytest.param(dataclasses.replace(AMD64, libc="musl 1.2"), REQUIREMENTS, id="C library"),
        pytest.param(image(python="3.10.2"), REQUIREMENTS, id="minor"),
        pytest.param(
            AMD64, dataclasses.replace(REQUIREMENTS, as_of=dt.date(2023, 2, 1)), id="date"
        ),
    ],
)
def test_what_is_not_committed_is_resolved(
    tmp_path: Path, item: Image, requirements: Requirements
) -> None:
    world = make_world(tmp_path, FILES)
    world.add_images(item)
    world.store().ensure(item, requirements)
    assert len(world.resolved) == 1


def test_what_this_machine_has_resolved_itself_stays(tmp_path: Path) -> None:
    world = make_world(tmp_path, FILES, python="3.10.1")
    world.store().ensure(AMD64, REQUIREMENTS)
    for file in (tmp_path / "environments" / "locks").glob("*.json"):
        if "files" in file.read_text():
            file.unlink()  # only what uv has resolved is left
    make_world(tmp_path, OTHER)
    assert world.store().ensure(AMD64, REQUIREMENTS).lock == lock_of(FILES)
    assert len(world.resolved) == 1


def test_a_lock_whose_files_the_index_does_not_have_is_resolved(tmp_path: Path) -> None:
    world = make_world(tmp_path, OTHER)
    made = world.store().ensure(AMD64, REQUIREMENTS)
    assert made.lock == lock_of(FILES)
    (notice,) = made.notices
    assert "committed lock of ddtrace==1.9.0 as of 2023-03-01 on CPython 3.11.2" in notice
    assert "the index no longer has a file of shop 2.0" in notice
    assert world.store().ensure(AMD64, REQUIREMENTS).notices == ()
    assert len(world.resolved) == 1


def test_a_requirement_of_another_patch_release_is_resolved(tmp_path: Path) -> None:
    marker = 'python_full_version <= "3.11.2"'
    files = {**FILES, SHOP: wheel("shop", "2.0", requires=f"Requires-Dist: more; {marker}\n")}
    more = {**files, "more-1.0-py3-none-any.whl": wheel("more", "1.0")}
    newer = image(python="3.11.3")
    for folder, item, resolved, lock in (("a", newer, 0, files), ("b", AMD64, 1, more)):
        world = make_world(tmp_path / folder, files)
        world.files = more
        world.add_images(item)
        made = world.store().ensure(item, REQUIREMENTS)
        assert set(made.lock) == set(lock_of(lock))
        assert len(world.resolved) == resolved
        notices = [text for text in made.notices if "requires more on CPython 3.11.2" in text]
        assert len(notices) == len(made.notices) == resolved
        # What was refused once is not asked again.
        assert world.store(offline=True).ensure(item, REQUIREMENTS).notices == ()


def test_a_failed_build_is_not_the_locks_fault(tmp_path: Path) -> None:
    damaged = {**FILES, SHOP: b"PK no zip"}
    world = make_world(tmp_path, damaged)
    world.files = damaged
    with pytest.raises(BuildError) as caught:
        world.store().ensure(AMD64, REQUIREMENTS)
    assert caught.value.reason is Reason.BUILD_FAILED
    assert world.resolved == []


def test_asked_anew_the_lock_is_resolved_and_a_difference_is_a_notice(tmp_path: Path) -> None:
    world = make_world(tmp_path, OTHER)
    made = world.store(anew=True).ensure(AMD64, REQUIREMENTS)
    assert made.lock == lock_of(FILES)
    (notice,) = made.notices
    assert notice == (
        "the lock of ddtrace==1.9.0 as of 2023-03-01 on CPython 3.11.2 is not the committed one:"
        " shop 2.0 has other files"
    )
    assert len(world.resolved) == 1


def test_for_2_7_a_committed_lock_needs_no_interpreter_of_this_machine(tmp_path: Path) -> None:
    old = image(python="2.7.18")
    assert old.minor in LEGACY_PYTHONS
    world = make_world(tmp_path, OTHER, python="2.7.18")
    world.files = {name.replace("py3", "py2"): content for name, content in FILES.items()}
    world.add_images(old)
    made = world.store().ensure(old, REQUIREMENTS)
    # The hashes of such a lock are of the files that another target chose.
    assert made.lock == lock_of(FILES)
    assert world.resolved == []
