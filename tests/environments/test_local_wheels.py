"""Local wheels: they are installed, and no other file of the same release."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from helpers.environment_fakes import INTERPRETER, REQUIREMENTS, FakeInstaller, store_with
from helpers.legacy_pip import FILES, LEGACY_INTERPRETER, LEGACY_REQUIREMENTS, LegacyPip, index_of
from helpers.run_fakes import MINIMUM, PROBES, planned
from helpers.tree_fakes import REQUIREMENTS as NEEDS
from helpers.tree_fakes import TreeFakes, image, wheel

from matrix.environments.errors import BuildError
from matrix.environments.installers import UvInstaller
from matrix.environments.store import EnvironmentStore
from matrix.environments.toolbox import Command, CommandResult, Toolbox
from matrix.model.index import File, ReleaseFiles
from matrix.model.reason import Reason
from matrix.pypi.tags import wheel_tags
from matrix.runs.environments import cell_requirements

NAME = "ddtrace-1.9.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
DAY = dt.datetime(2026, 11, 19, tzinfo=dt.timezone.utc)


def local_wheel(folder: Path, content: bytes, name: str = NAME) -> File:
    path = folder / "dist" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return File(name, path.as_uri(), digest, DAY, ">=3.7,<4", False, wheel_tags(name))


class Links(HTMLParser):
    """The links of a page: address and what Python they require."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append(dict(attrs))


class Uv:
    """A fake of uv that locks `digest` for the pinned release and records its command lines."""

    def __init__(self, digest: str) -> None:
        self.digest = digest
        self.commands: list[list[str]] = []

    def __call__(self, command: Command) -> CommandResult:
        self.commands.append(list(command.argv))
        return CommandResult(0, f"ddtrace==1.9.0 --hash=sha256:{self.digest}\n", "")

    def installer(self, folder: Path) -> UvInstaller:
        return UvInstaller(Toolbox(folder / "root", "https://a.example/simple", False, self, 5))


def test_uv_is_shown_an_index_of_the_given_files_that_comes_first(tmp_path: Path) -> None:
    file = local_wheel(tmp_path, b"wheel")
    needs = dataclasses.replace(NEEDS, given=(file,))
    uv = Uv(file.sha256)
    (locked,) = uv.installer(tmp_path).resolve(INTERPRETER, needs)
    assert locked.hashes == (file.sha256,)
    argv = uv.commands[0]
    assert argv[argv.index("--index-strategy") + 1] == "first-index"
    folder = Path(urlsplit(argv[argv.index("--index") + 1]).path)
    (link,) = Links((folder / "ddtrace" / "index.html").read_text()).found
    assert link == {"href": f"{file.url}#sha256={file.sha256}", "data-requires-python": ">=3.7,<4"}
    # A page without dates has nothing before any date.
    assert "ddtrace=false" in argv
    uv.installer(tmp_path).resolve(INTERPRETER, NEEDS)
    assert "--index" not in uv.commands[1]
    assert "ddtrace=false" not in uv.commands[1]


def test_another_artifact_of_the_version_is_a_wrong_install(tmp_path: Path) -> None:
    needs = dataclasses.replace(NEEDS, given=(local_wheel(tmp_path, b"wheel"),))
    with pytest.raises(BuildError, match="files that are not local wheels") as caught:
        Uv("f" * 64).installer(tmp_path).resolve(INTERPRETER, needs)
    assert caught.value.reason is Reason.WRONG_INSTALL


def test_given_files_have_locks_and_names_of_their_own(tmp_path: Path) -> None:
    one, other = (
        dataclasses.replace(REQUIREMENTS, given=(local_wheel(tmp_path, content),))
        for content in (b"one", b"other")
    )
    assert len({requirements.text for requirements in (REQUIREMENTS, one, other)}) == 3
    assert REQUIREMENTS.text == repr(REQUIREMENTS)
    installer = FakeInstaller()
    store = store_with(tmp_path, installer)
    for requirements in (REQUIREMENTS, one, other, one):
        store.resolve(INTERPRETER, requirements)
    assert installer.resolved == 3


def test_a_tree_has_the_given_wheel_and_not_the_published_one(tmp_path: Path) -> None:
    amd64 = image()
    content = wheel("ddtrace", "1.9.0", {"ddtrace/__init__.py": "whose = 'ours'"})
    own = local_wheel(tmp_path, content)
    # The index has it under that name too: it is asked for the others only.
    world = TreeFakes(tmp_path, {NAME: content, "shop-2.0-py3-none-any.whl": wheel("shop", "2.0")})
    world.served[NAME] = b"what the index has"
    world.add_images(amd64)
    needs = dataclasses.replace(NEEDS, given=(own,))
    environment = world.store().ensure(amd64, needs)
    assert environment.tree is not None
    assert (environment.tree / "ddtrace" / "__init__.py").read_text() == "whose = 'ours'"
    assert environment.lock[0] == f"ddtrace==1.9.0 --hash=sha256:{own.sha256}"
    assert NAME not in "".join(world.fetched)


def test_a_given_wheel_that_was_changed_or_is_gone_is_not_installed(tmp_path: Path) -> None:
    amd64 = image()
    own = local_wheel(tmp_path, wheel("ddtrace", "1.9.0"))
    path = Path(urlsplit(own.url).path)
    files = {NAME: path.read_bytes(), "shop-2.0-py3-none-any.whl": wheel("shop", "2.0")}
    needs = dataclasses.replace(NEEDS, given=(own,))
    for number, detail in enumerate(("does not have the hash", "cannot read the local wheel")):
        world = TreeFakes(tmp_path / str(number), dict(files))
        world.add_images(amd64)
        if number:
            path.unlink()
        else:
            path.write_bytes(wheel("ddtrace", "1.9.0", {"evil.py": ""}))
        with pytest.raises(BuildError, match=detail) as caught:
            world.store().ensure(amd64, needs)
        assert caught.value.reason is Reason.WRONG_INSTALL


def test_an_old_pip_is_shown_the_given_file_alone(tmp_path: Path) -> None:
    name = "ddtrace-1.9.0-cp27-cp27mu-manylinux1_x86_64.whl"
    content = wheel("ddtrace", "1.9.0", {"ddtrace.py": "ours = True"})
    own = dataclasses.replace(local_wheel(tmp_path, content, name), requires_python="")
    pip = LegacyPip({**FILES, name: content})
    store = EnvironmentStore(tmp_path, index=index_of(), runner=pip)
    needs = dataclasses.replace(LEGACY_REQUIREMENTS, given=(own,))
    environment = store.ensure(LEGACY_INTERPRETER, needs)
    assert own.url in pip.addresses
    assert environment.lock[0] == f"ddtrace==1.9.0 --hash=sha256:{own.sha256}"


def test_only_cells_of_the_candidate_get_its_files(tmp_path: Path) -> None:
    file = local_wheel(tmp_path, b"wheel")
    source = dataclasses.replace(file, filename="ddtrace-1.9.0.tar.gz", tags="")
    files = (file, source)
    release = ReleaseFiles("1.9.0", DAY, yanked=False, requires_python="", files=files)
    other = dataclasses.replace(release, version="1.9.1")
    cell = planned(MINIMUM)
    assert cell_requirements(cell, PROBES, release).given == (file,)
    assert cell_requirements(cell, PROBES, other).given == ()
    assert cell_requirements(cell, PROBES).given == ()
