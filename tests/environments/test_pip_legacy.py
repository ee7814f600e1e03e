"""Environments of CPython 2.7: pip of the time chooses, wheels are linked."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import io
import re
import urllib.request
import zipfile
from pathlib import Path

import pytest
from helpers.environment_fakes import INTERPRETER, FakeIndex, project, published

from matrix.environments.commands import CommandResult, RunningCommand
from matrix.environments.errors import BuildError
from matrix.environments.store import EnvironmentStore
from matrix.model.environment import Requirements
from matrix.model.index import Project
from matrix.model.reason import Reason

OLD = dataclasses.replace(INTERPRETER, version="2.7.18", build="2.7.18 (default)")
NEEDS = Requirements(("ddtrace==1.9.0",), ("six",), dt.date(2023, 3, 1))


def wheel(name: str, version: str) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr(f"{name}.py", f"version = {version!r}")
        archive.writestr(
            f"{name}-{version}.dist-info/METADATA", f"Name: {name}\nVersion: {version}\n\n"
        )
    return raw.getvalue()


FILES = {
    "ddtrace-1.9.0-cp27-cp27mu-manylinux1_x86_64.whl": wheel("ddtrace", "1.9.0"),
    # Its file name does not say which part is the version.
    "six-1.16.0-2.tar.gz": b"a source distribution",
}


def listed() -> dict[str, Project]:
    moment = dt.datetime(2023, 1, 1, tzinfo=dt.timezone.utc)
    found = {}
    for filename, content in FILES.items():
        name, version = filename.split("-")[:2]
        file = dataclasses.replace(
            published(name, version, "2023-01-01"),
            filename=filename,
            url=f"https://files.example/{filename}",
            sha256=hashlib.sha256(content).hexdigest(),
            uploaded=moment,
            tags="cp27-cp27mu-manylinux1_x86_64" if filename.endswith("whl") else "",
        )
        found[name] = project(name, (version, file))
    return found


class Machine:
    """Does what virtualenv and pip would: makes folders, takes the files that the index shows."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.shown: list[str] = []

    def __call__(self, command: RunningCommand) -> CommandResult:
        argv = list(command.argv)
        if "virtualenv" in argv:
            self.ran.append("virtualenv")
            folder = Path(argv[-1])
            (folder / "lib" / "python2.7" / "site-packages").mkdir(parents=True)
            (folder / "bin").mkdir()
            (folder / "bin" / "python").write_text("")
            return CommandResult(0, "", "")
        self.ran.append(argv[3])
        if argv[3] == "download":
            return self._download(command, Path(argv[argv.index("--dest") + 1]))
        assert argv[3] == "wheel"
        made = Path(argv[argv.index("--wheel-dir") + 1]) / "six-1.16.0.post2-py2-none-any.whl"
        made.write_bytes(wheel("six", "1.16.0.post2"))
        return CommandResult(0, "", "")

    def _download(self, command: RunningCommand, folder: Path) -> CommandResult:
        for name in ("ddtrace", "six"):
            url = f"{command.environ['PIP_INDEX_URL']}{name}/"
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - loopback
                    page = answer.read().decode()
            except OSError as error:
                if hasattr(error, "close"):
                    error.close()
                return CommandResult(1, "", f"ERROR: No matching distribution found for {name}==1")
            address = re.search('href="([^"#]*)', page)
            if address is None:
                return CommandResult(1, "", f"ERROR: No matching distribution found for {name}==1")
            self.shown.append(address[1])
            filename = address[1].rpartition("/")[2]
            (folder / filename).write_bytes(FILES[filename])
        return CommandResult(0, "", "")


def test_an_old_environment_is_filled_with_what_its_pip_chose(tmp_path: Path) -> None:
    machine = Machine()
    store = EnvironmentStore(tmp_path, index=FakeIndex(listed()), runner=machine)
    made = store.ensure(OLD, NEEDS)
    assert [line.partition(" ")[0] for line in made.lock] == ["ddtrace==1.9.0", "six==1.16.0.post2"]
    for line, content in zip(made.lock, FILES.values(), strict=True):
        assert hashlib.sha256(content).hexdigest() in line
    packages = made.python.parent.parent / "lib" / "python2.7" / "site-packages"
    assert (packages / "six.py").read_text() == "version = '1.16.0.post2'"
    assert (packages / "ddtrace.py").stat().st_nlink > 1


def test_sources_are_built_once_and_known_files_are_not_fetched_again(tmp_path: Path) -> None:
    machine = Machine()
    store = EnvironmentStore(tmp_path, index=FakeIndex(listed()), runner=machine)
    store.ensure(OLD, NEEDS)
    assert all(address.startswith("https:") for address in machine.shown)
    machine.shown.clear()
    store.ensure(OLD, dataclasses.replace(NEEDS, as_of=dt.date(2023, 3, 2)))
    assert all(address.startswith("file:") for address in machine.shown)
    assert machine.ran.count("wheel") == 1
    assert machine.ran.count("download") == 2
    # One for the environment with pip, one for the one environment that both came to.
    assert machine.ran.count("virtualenv") == 2


def test_an_index_that_is_down_is_not_a_missing_wheel(tmp_path: Path) -> None:
    store = EnvironmentStore(tmp_path, index=FakeIndex({}), runner=Machine(), wait_seconds=0)
    with pytest.raises(BuildError, match="no answer for 'ddtrace'") as caught:
        store.ensure(OLD, NEEDS)
    assert caught.value.reason is Reason.INDEX_UNAVAILABLE


def test_offline_shows_no_file_that_is_not_here(tmp_path: Path) -> None:
    machine = Machine()
    index = FakeIndex(listed())
    store = EnvironmentStore(tmp_path, index=index, runner=machine, offline=True)
    with pytest.raises(BuildError) as caught:
        store.ensure(OLD, NEEDS)
    assert caught.value.reason is Reason.INDEX_UNAVAILABLE
    assert machine.shown == []
