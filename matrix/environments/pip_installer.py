"""The installer for CPython 2.7 and 3.5, which current tools refuse: pip 20.3.

virtualenv 20.21 is the last release series that supports them, and bundles that pip. The files that
pip chose are stored, and unpacked and linked by our own code.
"""

from __future__ import annotations

import functools
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from matrix.environments.byte_code import add_byte_code
from matrix.environments.cache_folders import Artifacts, read_filename
from matrix.environments.download import (
    ChosenFile,
    Fetcher,
    FileChoice,
    FileTarget,
    choose,
    download,
    link_into,
    unpack,
)
from matrix.environments.errors import BuildError
from matrix.environments.lock import Lock, LockedFile, pinned, site_packages
from matrix.environments.own_indexes import (
    DatedIndex,
    index_with_local_wheels,
    is_file_url,
    local_files,
    serve,
)
from matrix.environments.toolbox import Toolbox, binary_arguments, cutoff, interpreter_id
from matrix.errors import IndexUnavailableError
from matrix.model.environment import Interpreter, Requirements
from matrix.model.index import File
from matrix.model.reason import Reason
from matrix.pypi.client import Index
from matrix.pypi.tags import supported_tags
from matrix.system.files import put_in_place


class PipInstaller:
    """An installer that uses the interpreter's own pip with a dated index."""

    def __init__(self, tools: Toolbox, index: Index) -> None:
        self._tools = tools
        self._index = index
        self._artifacts = Artifacts(tools)

    def resolve(self, interpreter: Interpreter, requirements: Requirements) -> Lock:
        """Return the lock, with the hash of the one file of each release that pip chose.

        The resolver is pip's default, as for its users: on 2.7 the old one, which takes 8 s instead
        of the minute of the new one.
        """
        with self._tools.scratch() as folder:
            self._pip(
                interpreter,
                requirements,
                folder,
                "download",
                *("--dest", str(folder)),
                *binary_arguments(requirements),
                *requirements.pins,
                *requirements.also,
            )
            hashes = [self._artifacts.add(path) for path in sorted(folder.iterdir())]
        return tuple(
            read_filename(self._wheel(interpreter, requirements, sha256).name, sha256)
            for sha256 in hashes
        )

    def build(
        self, interpreter: Interpreter, requirements: Requirements, lock: Lock, folder: Path
    ) -> None:
        """Build the environment at `folder` from the files that `resolve` stored, or fetch them."""
        hashes = [locked.hashes[0] for locked in lock]
        self._fetch(
            interpreter,
            requirements,
            [item for item in lock if self._artifacts.find_whole(item.hashes[0]) is None],
        )
        wheels = [self._wheel(interpreter, requirements, sha256) for sha256 in hashes]
        self._virtualenv(interpreter, folder, "--without-pip")
        target = site_packages(folder)
        for extra in target.glob("_virtualenv.*"):
            extra.unlink()
        for sha256, wheel in zip(hashes, wheels, strict=True):
            unpacked = self._tools.root / "unpacked" / sha256 / wheel.stem
            published = wheel == self._artifacts.find(sha256)
            make = functools.partial(unpack, wheel, unpacked, sha256 if published else None)
            source = self._tools.ensure_built(unpacked, make)
            link_into(source, target, copy=self._tools.copies)
        # virtualenv puts modules of the standard library beside it.
        for modules in (target, target.parent):
            add_byte_code(self._tools, interpreter, modules)

    def _fetch(
        self, interpreter: Interpreter, requirements: Requirements, lock: Sequence[LockedFile]
    ) -> None:
        """Fetch exactly the locked files, from where the index says that they are."""
        index = index_with_local_wheels(self._index, requirements)
        target = FileTarget(
            interpreter.version,
            supported_tags(interpreter.python, interpreter.target, interpreter.libc),
            f"CPython {interpreter.python} on {interpreter.target} ({interpreter.libc})",
        )
        # The hash decides which file it is.
        choice = FileChoice(before=None, hashes=True, only_binary=False)
        files: list[ChosenFile] = []
        for locked in lock:
            try:
                project = index.project(locked.name)
            except IndexUnavailableError as error:
                raise BuildError(Reason.INDEX_UNAVAILABLE, str(error)) from error
            files.append(choose(locked, project, target, choice))
        Fetcher(self._tools, self._artifacts, download).fetch(files)

    def _wheel(self, interpreter: Interpreter, requirements: Requirements, sha256: str) -> Path:
        """Return the published wheel of that hash, or the wheel built here from that source."""
        published = self._artifacts.find(sha256)
        if published is None:
            raise BuildError(Reason.BUILD_FAILED, f"the locked file sha256:{sha256} is missing")
        if published.suffix == ".whl":
            return published
        builder = interpreter_id(interpreter)
        with self._tools.guard(f"wheel-{sha256[:16]}-{builder}"):
            existing = self._artifacts.find_wheel(builder, sha256)
            if existing is not None:
                return existing
            with self._tools.scratch() as folder:
                arguments = ("--no-deps", "--wheel-dir", str(folder), str(published))
                self._pip(interpreter, requirements, folder, "wheel", *arguments)
                (wheel,) = folder.glob("*.whl")
                return self._artifacts.add_wheel(builder, sha256, wheel)

    def _pip_python(self, interpreter: Interpreter) -> Path:
        """Return the Python of an environment with pip, which is made once for each interpreter."""
        name = interpreter_id(interpreter)
        folder = self._tools.root / "builders" / name
        with self._tools.guard(f"builder-{name}"):
            if not folder.exists():
                part = folder.with_name(f".{name}")
                shutil.rmtree(part, ignore_errors=True)
                self._virtualenv(interpreter, part)
                put_in_place(part, folder)
        windows = folder / "Scripts" / "python.exe"
        return windows if windows.exists() else folder / "bin" / "python"

    def _virtualenv(self, interpreter: Interpreter, folder: Path, *arguments: str) -> None:
        self._tools.run(
            [
                *(sys.executable, "-I", "-m", "virtualenv", "--quiet"),
                *("--python", str(interpreter.executable), "--no-download"),
                *("--no-periodic-update", "--no-vcs-ignore", "--activators", ""),
                *("--app-data", str(self._tools.root / "virtualenv")),
                *arguments,
                str(folder),
            ],
            {"VIRTUALENV_CONFIG_FILE": os.devnull},
        )

    def _pip(
        self,
        interpreter: Interpreter,
        requirements: Requirements,
        folder: Path,
        command: str,
        *arguments: str,
    ) -> None:
        """Run pip, which may build sources, and writes to `folder` only. Raises BuildError.

        It has no cache: the code of a source could change there what others install.
        """
        pins = dict(map(pinned, requirements.pins))
        index = index_with_local_wheels(self._index, requirements)
        dated = DatedIndex(index, cutoff(requirements), interpreter.python, pins, self._address_of)
        with serve(dated) as url:
            variables = {
                "PIP_INDEX_URL": url,
                "PIP_NO_CACHE_DIR": "1",
                "PYTHONWARNINGS": "ignore",
                "PIP_NO_PYTHON_VERSION_WARNING": "1",
            }
            python = self._pip_python(interpreter)
            argv = [str(python), "-m", "pip", command, *arguments]
            readable = [self._tools.root / "files", *local_files(self._tools, requirements)]
            view = self._tools.view_of_build(python, readable, folder)
            try:
                self._tools.run(argv, variables, only_binary=requirements.only_binary, view=view)
            except BuildError as error:
                if dated.failed is None and not self._tools.offline:
                    raise
                detail = str(dated.failed or "cannot fetch files offline that are not cached")
                raise BuildError(Reason.INDEX_UNAVAILABLE, detail, error.log) from error

    def _address_of(self, file: File) -> str:
        stored = self._artifacts.find(file.sha256)
        if stored is not None:
            return stored.as_uri()
        return "" if self._tools.offline and not is_file_url(file.url) else file.url
