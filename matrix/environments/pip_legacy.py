"""The installer for CPython 2.7 and 3.5, which current tools refuse: pip 20.3 resolves and builds.

virtualenv 20.21 is the last release series that supports them, and bundles that pip. The files that
pip chose are stored, and unpacked and linked by our own code.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from matrix.environments.cache_folders import Artifacts, read_filename
from matrix.environments.dated_index import DatedIndex, serve
from matrix.environments.download import link_into, unpack
from matrix.environments.errors import BuildError
from matrix.environments.installed import site_packages
from matrix.environments.local_wheels import index_with_local_wheels, is_file_url
from matrix.environments.lock import LockedFile, pinned
from matrix.environments.toolbox import Toolbox, binary_arguments, cutoff, interpreter_id
from matrix.model.environment import Interpreter, Requirements
from matrix.model.index import File
from matrix.model.reason import Reason
from matrix.pypi.index import Index
from matrix.system.atomic import put_in_place


class PipInstaller:
    """An installer that uses the interpreter's own pip with a dated index."""

    def __init__(self, tools: Toolbox, index: Index) -> None:
        self._tools = tools
        self._index = index
        self._artifacts = Artifacts(tools.root)

    def resolve(
        self, interpreter: Interpreter, requirements: Requirements
    ) -> tuple[LockedFile, ...]:
        """Return the lock, with the hash of the one file of each release that pip chose.

        The resolver is pip's default, as for its users: on 2.7 the old one, which takes 8 s instead
        of the minute of the new one.
        """
        with self._tools.scratch() as folder:
            self._pip(
                interpreter,
                requirements,
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
        self,
        interpreter: Interpreter,
        requirements: Requirements,
        lock: tuple[LockedFile, ...],
        folder: Path,
    ) -> None:
        """Build the environment at `folder` from the files that `resolve` stored."""
        hashes = [locked.hashes[0] for locked in lock]
        if any(self._artifacts.find(sha256) is None for sha256 in hashes):
            self.resolve(interpreter, requirements)
        wheels = [self._wheel(interpreter, requirements, sha256) for sha256 in hashes]
        self._virtualenv(interpreter, folder, "--without-pip")
        target = site_packages(folder)
        for extra in target.glob("_virtualenv.*"):
            extra.unlink()
        for sha256, wheel in zip(hashes, wheels, strict=True):
            unpacked = self._tools.root / "unpacked" / sha256 / wheel.stem
            published = wheel == self._artifacts.find(sha256)
            link_into(unpack(wheel, unpacked, sha256 if published else None), target)

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
                self._pip(interpreter, requirements, "wheel", *arguments)
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
                *(self._tools.host_python, "-I", "-m", "virtualenv", "--quiet"),
                *("--python", str(interpreter.executable), "--no-download"),
                *("--no-periodic-update", "--no-vcs-ignore", "--activators", ""),
                *("--app-data", str(self._tools.root / "virtualenv")),
                *arguments,
                str(folder),
            ],
            {"VIRTUALENV_CONFIG_FILE": os.devnull},
        )

    def _pip(
        self, interpreter: Interpreter, requirements: Requirements, command: str, *arguments: str
    ) -> None:
        pins = dict(map(pinned, requirements.pins))
        index = index_with_local_wheels(self._index, requirements)
        dated = DatedIndex(index, cutoff(requirements), interpreter.python, pins, self._address_of)
        with serve(dated) as url:
            variables = {
                "PIP_INDEX_URL": url,
                "PIP_CACHE_DIR": str(self._tools.root / "pip"),
                "PYTHONWARNINGS": "ignore",
                "PIP_NO_PYTHON_VERSION_WARNING": "1",
            }
            argv = [str(self._pip_python(interpreter)), "-m", "pip", command, *arguments]
            try:
                self._tools.run(argv, variables, only_binary=requirements.only_binary)
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
