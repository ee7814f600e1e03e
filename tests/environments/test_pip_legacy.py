"""Environments of CPython 2.7: pip of the time chooses, wheels are linked."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from pathlib import Path

import pytest
from helpers.environment_fakes import FakeIndex
from helpers.legacy_pip import FILES, LEGACY_INTERPRETER, LEGACY_REQUIREMENTS, LegacyPip, index_of

from matrix.environments.errors import BuildError
from matrix.environments.store import EnvironmentStore
from matrix.model.reason import Reason


def test_an_old_environment_is_filled_with_what_its_pip_chose(tmp_path: Path) -> None:
    store = EnvironmentStore(tmp_path, index=index_of(), runner=LegacyPip())
    made = store.ensure(LEGACY_INTERPRETER, LEGACY_REQUIREMENTS)
    assert [line.partition(" ")[0] for line in made.lock] == ["ddtrace==1.9.0", "six==1.16.0.post2"]
    for line, content in zip(made.lock, FILES.values(), strict=True):
        assert hashlib.sha256(content).hexdigest() in line
    packages = made.python.parent.parent / "lib" / "python2.7" / "site-packages"
    assert (packages / "six.py").read_text() == "version = '1.16.0.post2'"
    assert (packages / "ddtrace.py").stat().st_nlink > 1


def test_sources_are_built_once_and_known_files_are_not_fetched_again(tmp_path: Path) -> None:
    pip = LegacyPip()
    store = EnvironmentStore(tmp_path, index=index_of(), runner=pip)
    store.ensure(LEGACY_INTERPRETER, LEGACY_REQUIREMENTS)
    assert all(address.startswith("https:") for address in pip.addresses)
    pip.addresses.clear()
    next_day = dataclasses.replace(LEGACY_REQUIREMENTS, as_of=dt.date(2023, 3, 2))
    store.ensure(LEGACY_INTERPRETER, next_day)
    assert all(address.startswith("file:") for address in pip.addresses)
    assert pip.commands.count("wheel") == 1
    assert pip.commands.count("download") == 2
    # One for the environment with pip, one for the environment of both locks.
    assert pip.commands.count("virtualenv") == 2


def test_pip_which_builds_sources_writes_to_a_folder_of_its_own_only(tmp_path: Path) -> None:
    pip = LegacyPip()
    EnvironmentStore(tmp_path, index=index_of(), runner=pip).ensure(
        LEGACY_INTERPRETER, LEGACY_REQUIREMENTS
    )
    assert len(pip.views) == 2
    scratch = tmp_path / "environments" / "scratch"
    assert all(path.parent == scratch for view in pip.views for path in view.writable)


def test_an_index_that_is_down_is_not_a_missing_wheel(tmp_path: Path) -> None:
    store = EnvironmentStore(tmp_path, index=FakeIndex({}), runner=LegacyPip(), wait_seconds=0)
    with pytest.raises(BuildError, match="no answer for 'ddtrace'") as caught:
        store.ensure(LEGACY_INTERPRETER, LEGACY_REQUIREMENTS)
    assert caught.value.reason is Reason.INDEX_UNAVAILABLE


def test_offline_shows_no_file_that_is_not_here(tmp_path: Path) -> None:
    pip = LegacyPip()
    store = EnvironmentStore(tmp_path, index=index_of(), runner=pip, offline=True)
    with pytest.raises(BuildError) as caught:
        store.ensure(LEGACY_INTERPRETER, LEGACY_REQUIREMENTS)
    assert caught.value.reason is Reason.INDEX_UNAVAILABLE
    assert pip.addresses == []
