"""Committed locks: what is written is read, a run that finds one resolves nothing."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from pathlib import Path

import pytest
from helpers.environment_fakes import (
    DDTRACE,
    FLASK,
    INTERPRETER,
    LOCK,
    REQUIREMENTS,
    FakeIndex,
    FakeInstaller,
    project,
    published,
    write_distribution,
)
from helpers.legacy_pip import FILES, LEGACY_INTERPRETER, LEGACY_REQUIREMENTS, LegacyPip, index_of
from hypothesis import given
from hypothesis import strategies as st

from matrix.environments.committed_locks import (
    LOCKS,
    CommittedLock,
    CommittedLocks,
    TargetLocks,
    describe_difference,
    dump_locks,
    load_locks,
)
from matrix.environments.errors import BuildError
from matrix.environments.lock import LockedFile, check_markers, dump_lock, parse_line
from matrix.environments.store import EnvironmentStore
from matrix.model.environment import Interpreter, Requirements
from matrix.model.reason import Reason

SNAPSHOT = dt.date(2023, 3, 2)
WORDS = st.sampled_from(["a", "b2", "django", "py-x", "werkzeug<1", 'odd; marker == "\u00e9"'])
HASHES = st.integers(0, 16**64 - 1).map(lambda number: f"{number:064x}")
LINES = st.builds(
    lambda releases: dump_lock(
        LockedFile(name, version, tuple(sorted(hashes))) for (name, version), hashes in releases
    ),
    st.lists(
        st.tuples(
            st.tuples(st.sampled_from(["a", "b2", "c"]), st.sampled_from(["1", "2.0.post1"])),
            st.sets(HASHES, min_size=1, max_size=3),
        ),
        unique_by=lambda release: release[0][0],
        max_size=3,
    ),
)
TUPLES = st.lists(WORDS, unique=True, max_size=3).map(lambda words: tuple(sorted(words)))
COMMITTED = st.builds(
    CommittedLock,
    st.sampled_from(["2.7.18", "3.9.2", "3.11.7", "3.13.0rc1"]),
    st.builds(Requirements, TUPLES, TUPLES, st.dates(dt.date(2020, 1, 1), SNAPSHOT), TUPLES),
    LINES,
)
LOCK_SETS = st.lists(COMMITTED, unique_by=lambda lock: lock.key, max_size=5)


def target_locks(*locks: CommittedLock, snapshot: dt.date = SNAPSHOT) -> TargetLocks:
    return TargetLocks("linux_x86_64", "glibc", snapshot, locks)


def locked(
    lock: tuple[LockedFile, ...] = LOCK,
    python: str = "3.9.18",
    requirements: Requirements = REQUIREMENTS,
) -> CommittedLock:
    return CommittedLock(python, requirements, dump_lock(lock))


def store_of(
    tmp_path: Path, installer: FakeInstaller, *locks: CommittedLock, anew: bool = False
) -> EnvironmentStore:
    committed = CommittedLocks(tmp_path / "facts")
    committed.write(target_locks(*locks))
    return EnvironmentStore(
        tmp_path / "cache",
        installer=lambda _: installer,
        index=FakeIndex({}),
        free_bytes=lambda _: 2**40,
        wait_seconds=0,
        committed=CommittedLocks(tmp_path / "facts"),
        anew=anew,
    )


@given(LOCK_SETS)
def test_what_is_written_is_read(locks: list[CommittedLock]) -> None:
    text = dump_locks(target_locks(*locks))
    read = load_locks(text.encode())
    assert {lock.key: lock for lock in read.locks} == {lock.key: lock for lock in locks}
    assert dump_locks(read) == text
    assert dump_locks(target_locks(*reversed(locks))) == text


@given(LOCK_SETS, st.data())
def test_a_changed_byte_is_noticed(locks: list[CommittedLock], data: st.DataObject) -> None:
    content = bytearray(dump_locks(target_locks(*locks)).encode())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ValueError, match=r"\w"):
        load_locks(bytes(content))


def test_a_new_lock_is_a_new_line() -> None:
    later = dataclasses.replace(REQUIREMENTS, pins=("ddtrace==1.9.0", "flask==2.2.4"))
    before = dump_locks(target_locks(locked())).splitlines()
    after = dump_locks(target_locks(locked(), locked(requirements=later))).splitlines()
    assert len(after) == len(before) + 1
    # The digest is in the first line, and the line before has a comma now.
    assert len(set(after) - set(before)) == 3


def test_the_committed_locks_are_what_the_command_writes() -> None:
    for path in LOCKS.glob("*.json"):
        locks = load_locks(path.read_bytes())
        assert dump_locks(locks).encode() == path.read_bytes()
        assert path.stem == locks.target
        assert len({lock.key for lock in locks.locks}) == len(locks.locks) > 0
        for lock in locks.locks:
            assert lock.requirements.as_of < locks.snapshot
            names = {parse_line(line).name: parse_line(line).version for line in lock.lines}
            for pin in lock.requirements.pins:
                assert pin.partition("==")[0] in names


def test_the_committed_facts_of_the_index_are_small() -> None:
    sizes = [path.stat().st_size for path in LOCKS.parent.rglob("*.json")]
    assert 0 < sum(sizes) < 2_500_000


def test_a_committed_lock_is_not_resolved_and_no_index_is_asked(tmp_path: Path) -> None:
    installer = FakeInstaller()
    store = store_of(tmp_path, installer, locked())
    assert store.peek(INTERPRETER, REQUIREMENTS) is None
    environment = store.ensure(INTERPRETER, REQUIREMENTS)
    assert (installer.resolved, installer.built) == (0, 1)
    assert environment.lock == dump_lock(LOCK)
    assert environment.notices == ()
    assert store.peek(INTERPRETER, REQUIREMENTS) is not None


@pytest.mark.parametrize(
    ("interpreter", "requirements"),
    [
        pytest.param(dataclasses.replace(INTERPRETER, version="3.10.1"), REQUIREMENTS, id="minor"),
        pytest.param(
            dataclasses.replace(INTERPRETER, target="linux_aarch64"), REQUIREMENTS, id="target"
        ),
        pytest.param(
            dataclasses.replace(INTERPRETER, libc="musl 1.2"), REQUIREMENTS, id="C library"
        ),
        pytest.param(
            INTERPRETER, dataclasses.replace(REQUIREMENTS, also=("cheroot", "redis")), id="also"
        ),
        pytest.param(
            INTERPRETER, dataclasses.replace(REQUIREMENTS, as_of=dt.date(2023, 2, 1)), id="date"
        ),
        pytest.param(
            INTERPRETER, dataclasses.replace(REQUIREMENTS, only_binary=()), id="only binary"
        ),
        pytest.param(
            INTERPRETER,
            dataclasses.replace(REQUIREMENTS, given=(published("flask", "2.2.3", "2023-02-01"),)),
            id="local wheels",
        ),
    ],
)
def test_what_is_not_there_is_resolved(
    tmp_path: Path, interpreter: Interpreter, requirements: Requirements
) -> None:
    installer = FakeInstaller()
    store_of(tmp_path, installer, locked()).ensure(interpreter, requirements)
    assert installer.resolved == 1


def test_a_day_that_is_not_over_in_the_snapshot_is_resolved(tmp_path: Path) -> None:
    installer = FakeInstaller()
    store = store_of(tmp_path, installer)
    same_day = dataclasses.replace(REQUIREMENTS, as_of=SNAPSHOT)
    CommittedLocks(tmp_path / "facts").write(target_locks(locked(requirements=same_day)))
    store.ensure(INTERPRETER, same_day)
    assert installer.resolved == 1


def test_damaged_locks_are_named_and_resolved(tmp_path: Path) -> None:
    installer = FakeInstaller()
    store = store_of(tmp_path, installer, locked())
    path = tmp_path / "facts" / "linux_x86_64.json"
    path.write_bytes(path.read_bytes().replace(b"flask==2.2.3", b"flask==2.2.4"))
    (notice,) = store.ensure(INTERPRETER, REQUIREMENTS).notices
    assert str(path) in notice
    assert "digest" in notice
    assert installer.resolved == 1


def test_what_this_machine_has_resolved_itself_stays(tmp_path: Path) -> None:
    installer = FakeInstaller()
    store_of(tmp_path, installer).ensure(INTERPRETER, REQUIREMENTS)
    other = (DDTRACE, dataclasses.replace(FLASK, hashes=("c" * 64,)))
    store = store_of(tmp_path, installer, locked(other))
    assert store.ensure(INTERPRETER, REQUIREMENTS).lock == dump_lock(LOCK)


def fail_once(reason: Reason, failures: list[Path]) -> FakeInstaller:
    def on_build(folder: Path) -> None:
        failures.append(folder)
        if len(failures) == 1:
            raise BuildError(reason, "the hash is another")

    return FakeInstaller(on_build=on_build)


def test_a_lock_whose_files_the_index_does_not_have_is_resolved_again(tmp_path: Path) -> None:
    installer = fail_once(Reason.WRONG_INSTALL, [])
    other = (DDTRACE, dataclasses.replace(FLASK, hashes=("c" * 64,)))
    store = store_of(tmp_path, installer, locked(other))
    environment = store.ensure(INTERPRETER, REQUIREMENTS)
    assert environment.lock == dump_lock(LOCK)
    (notice,) = environment.notices
    assert "ddtrace==1.9.0 and flask==2.2.3 as of 2023-03-01 on CPython 3.9.18" in notice
    assert "the hash is another" in notice
    again = store_of(tmp_path, installer, locked(other))
    assert again.ensure(INTERPRETER, REQUIREMENTS).notices == ()
    assert (installer.resolved, installer.built) == (1, 2)


def test_a_failed_build_is_not_the_locks_fault(tmp_path: Path) -> None:
    installer = fail_once(Reason.BUILD_FAILED, [])
    with pytest.raises(BuildError, match="the hash is another"):
        store_of(tmp_path, installer, locked()).ensure(INTERPRETER, REQUIREMENTS)
    assert installer.resolved == 0


def test_a_lock_that_fails_when_resolved_as_well_fails_once(tmp_path: Path) -> None:
    installer = FakeInstaller(installed=(DDTRACE,))
    with pytest.raises(BuildError, match="flask is missing"):
        store_of(tmp_path, installer, locked()).ensure(INTERPRETER, REQUIREMENTS)
    assert (installer.resolved, installer.built) == (1, 1)


def test_a_requirement_of_another_patch_release_is_resolved(tmp_path: Path) -> None:
    """redis 4.6.0 requires async-timeout up to CPython 3.11.2 only."""
    timeout = LockedFile("async-timeout", "4.0.3", ("e" * 64,))
    installer = FakeInstaller()

    def on_build(folder: Path) -> None:
        packages = folder / "lib" / "python3.9" / "site-packages"
        metadata = packages / "flask-2.2.3.dist-info" / "METADATA"
        metadata.write_text(
            "Name: flask\nVersion: 2.2.3\nRequires-Dist: async-timeout>=4; "
            'python_full_version <= "3.9.2"\nRequires-Dist: nothing; python_full_version<"3"\n'
            'Requires-Dist: more; python_full_version >= "3.9" and extra == "x"\n'
        )
        if installer.resolved:
            write_distribution(packages, "async-timeout", "4.0.3")

    installer.on_build = on_build
    installer.lock = (timeout, *LOCK)
    # The check comes after the one of what is installed.
    older = dataclasses.replace(INTERPRETER, version="3.9.2")
    store = store_of(tmp_path, installer, locked())
    assert store.ensure(INTERPRETER, REQUIREMENTS).notices == ()
    environment = store.ensure(older, REQUIREMENTS)
    assert "flask 2.2.3 requires async-timeout on CPython 3.9.2" in environment.notices[0]
    assert environment.lock == dump_lock(installer.lock)
    assert installer.resolved == 1


def test_markers_without_a_patch_release_are_left_to_the_resolver(tmp_path: Path) -> None:
    write_distribution(tmp_path, "flask", "2.2.3")
    metadata = tmp_path / "flask-2.2.3.dist-info" / "METADATA"
    metadata.write_text(
        'Name: flask\nVersion: 2.2.3\nRequires-Dist: a; python_version >= "3"\n'
        "Requires-Dist: not a requirement; python_full_version\n"
    )
    check_markers(tmp_path, "3.9.18", {})


def test_asked_anew_every_lock_is_resolved_and_differences_are_notices(tmp_path: Path) -> None:
    werkzeug, jinja = (LockedFile(name, "2.0", ("d" * 64,)) for name in ("werkzeug", "jinja2"))
    old_flask = dataclasses.replace(FLASK, version="2.2.2")
    old_tracer = dataclasses.replace(DDTRACE, hashes=("f" * 64,))
    installer = FakeInstaller(lock=(*LOCK, werkzeug), installed=(*LOCK, werkzeug))
    committed = locked((old_tracer, old_flask, jinja))
    EnvironmentStore(tmp_path / "cache", installer=lambda _: installer, index=FakeIndex({})).ensure(
        INTERPRETER, REQUIREMENTS
    )
    store = store_of(tmp_path, installer, committed, anew=True)
    assert store.peek(INTERPRETER, REQUIREMENTS) is None
    environment = store.ensure(INTERPRETER, REQUIREMENTS)
    assert environment.lock == dump_lock((*LOCK, werkzeug))
    (notice,) = environment.notices
    assert notice == (
        "the lock of ddtrace==1.9.0 and flask==2.2.3 as of 2023-03-01 on CPython 3.9.18 is not the"
        " committed one: jinja2 2.0 is gone, werkzeug 2.0 is new, ddtrace 1.9.0 has other files,"
        " flask 2.2.3 instead of 2.2.2"
    )
    assert store.ensure(INTERPRETER, REQUIREMENTS).notices == ()
    assert store.peek(INTERPRETER, REQUIREMENTS) is not None
    assert (installer.resolved, installer.built) == (2, 1)


def test_equal_locks_do_not_differ(tmp_path: Path) -> None:
    store = store_of(tmp_path, FakeInstaller(), locked(), anew=True)
    assert store.ensure(INTERPRETER, REQUIREMENTS).notices == ()
    assert describe_difference(dump_lock(LOCK), dump_lock(LOCK)) == ""


def test_an_unchanged_file_keeps_its_day(tmp_path: Path) -> None:
    committed = CommittedLocks(tmp_path)
    assert committed.write(target_locks(locked()))
    later = target_locks(locked(), snapshot=dt.date(2023, 4, 1))
    assert not committed.write(later)
    assert load_locks(committed.path("linux_x86_64").read_bytes()).snapshot == SNAPSHOT
    assert committed.write(dataclasses.replace(later, locks=()))


def legacy_store(tmp_path: Path, pip: LegacyPip, files: dict[str, bytes]) -> EnvironmentStore:
    """Return a store of 2.7 whose index has `files` at addresses of this machine."""
    lines = tuple(
        str(LockedFile(name, version, (hashlib.sha256(content).hexdigest(),)))
        for (name, version), content in zip(
            (("ddtrace", "1.9.0"), ("six", "1.16.0.post2")), FILES.values(), strict=True
        )
    )
    folder = tmp_path / "files"
    folder.mkdir()
    index = index_of(files)
    for name, item in index.projects.items():
        (release,) = item.releases
        (file,) = release.files
        (folder / file.filename).write_bytes(files[file.filename])
        local = dataclasses.replace(file, url=(folder / file.filename).as_uri())
        version = "1.16.0-2" if name == "six" else release.version
        index.projects[name] = project(name, (version, local))  # type: ignore[index]
    committed = CommittedLocks(tmp_path / "facts")
    committed.write(target_locks(CommittedLock("2.7.18", LEGACY_REQUIREMENTS, lines)))
    return EnvironmentStore(tmp_path, index=index, runner=pip, committed=committed)


def test_for_2_7_exactly_the_locked_files_are_fetched(tmp_path: Path) -> None:
    pip = LegacyPip()
    made = legacy_store(tmp_path, pip, dict(FILES)).ensure(LEGACY_INTERPRETER, LEGACY_REQUIREMENTS)
    assert "download" not in pip.commands
    packages = made.python.parent.parent / "lib" / "python2.7" / "site-packages"
    assert (packages / "six.py").read_text() == "version = '1.16.0.post2'"
    assert (packages / "ddtrace.py").exists()
    assert made.notices == ()


def test_for_2_7_a_file_that_the_index_has_replaced_is_resolved_again(tmp_path: Path) -> None:
    changed = {**FILES, "six-1.16.0-2.tar.gz": b"another source distribution"}
    pip = LegacyPip(changed)
    store = legacy_store(tmp_path, pip, changed)
    made = store.ensure(LEGACY_INTERPRETER, LEGACY_REQUIREMENTS)
    assert "download" in pip.commands
    (notice,) = made.notices
    assert "the index no longer has a file of six 1.16.0.post2" in notice
