"""A fake of the virtualenv and pip that make environments of CPython 2.7."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import re
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from helpers.environment_fakes import INTERPRETER, FakeIndex, project, published
from helpers.tree_fakes import wheel
from matrix.environments.toolbox import Command, CommandResult
from matrix.model.environment import Requirements
from matrix.system.sandbox import View

__all__ = ["FILES", "LEGACY_INTERPRETER", "LEGACY_REQUIREMENTS", "LegacyPip", "index_of"]

LEGACY_INTERPRETER = dataclasses.replace(INTERPRETER, version="2.7.18", build="2.7.18 (default)")
LEGACY_REQUIREMENTS = Requirements(("ddtrace==1.9.0",), ("six",), dt.date(2023, 3, 1))
FILES = {
    "ddtrace-1.9.0-cp27-cp27mu-manylinux1_x86_64.whl": wheel("ddtrace", "1.9.0"),
    # Its file name does not say which part is the version.
    "six-1.16.0-2.tar.gz": b"a source distribution",
}
_NO_MATCH = "ERROR: No matching distribution found for {}==1"


def index_of(files: Mapping[str, bytes] = FILES) -> FakeIndex:
    projects = {}
    for filename, content in files.items():
        name, version = filename.split("-")[:2]
        file = dataclasses.replace(
            published(name, version, "2023-01-01"),
            filename=filename,
            url=f"https://files.example/{filename}",
            sha256=hashlib.sha256(content).hexdigest(),
            tags="cp27-cp27mu-manylinux1_x86_64" if filename.endswith("whl") else "",
        )
        projects[name] = project(name, (version, file))
    return FakeIndex(projects)


class LegacyPip:
    """A runner that makes folders as virtualenv, and downloads as pip what the index offers.

    `files` are what it gets by name, whatever the address.
    """

    def __init__(self, files: Mapping[str, bytes] = FILES) -> None:
        self.files = files
        self.commands: list[str] = []
        self.addresses: list[str] = []
        self.views: list[View] = []

    def __call__(self, command: Command) -> CommandResult:
        argv = list(command.argv)
        if "virtualenv" in argv:
            self.commands.append("virtualenv")
            folder = Path(argv[-1])
            (folder / "lib" / "python2.7" / "site-packages").mkdir(parents=True)
            (folder / "bin").mkdir()
            (folder / "bin" / "python").write_text("")
            return CommandResult(0, "", "")
        if "compileall" in argv[-1]:
            return CommandResult(0, "", "")
        self.commands.append(argv[3])
        assert command.view is not None
        self.views.append(command.view)
        if argv[3] == "download":
            return self._download(command, Path(argv[argv.index("--dest") + 1]))
        assert argv[3] == "wheel"
        built = Path(argv[argv.index("--wheel-dir") + 1]) / "six-1.16.0.post2-py2-none-any.whl"
        built.write_bytes(wheel("six", "1.16.0.post2"))
        return CommandResult(0, "", "")

    def _download(self, command: Command, folder: Path) -> CommandResult:
        for name in ("ddtrace", "six"):
            url = f"{command.environ['PIP_INDEX_URL']}{name}/"
            try:
                with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - loopback
                    page = response.read().decode()
            except OSError as error:
                if hasattr(error, "close"):
                    error.close()
                return CommandResult(1, "", _NO_MATCH.format(name))
            address = re.search('href="([^"#]*)', page)
            if address is None:
                return CommandResult(1, "", _NO_MATCH.format(name))
            self.addresses.append(address[1])
            filename = address[1].rpartition("/")[2]
            (folder / filename).write_bytes(self.files[filename])
        return CommandResult(0, "", "")
