"""The installers' protocol, and uv, the installer for all CPythons that it supports."""

from __future__ import annotations

import dataclasses
import datetime as dt
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from matrix.environments.byte_code import add_byte_code
from matrix.environments.errors import BuildError
from matrix.environments.lock import Lock, find_damaged, parse_lock, pinned, site_packages
from matrix.environments.own_indexes import (
    check_lock,
    local_files,
    local_project,
    write_simple_index,
)
from matrix.environments.toolbox import UV_SOURCES, Toolbox, binary_arguments, cutoff
from matrix.model.environment import Interpreter, Requirements
from matrix.model.reason import Reason
from matrix.pypi.releases import is_ahead
from matrix.system.sandbox import View

# Pins were requested by name: the date is for everything else.
_NEVER = "2200-01-01T00:00:00Z"


@dataclasses.dataclass(frozen=True)
class UvInstaller:
    """An installer that uses uv; both steps try offline first, which takes a tenth of the time.

    `Toolbox.uv` refuses an offline result that might differ from one with the network. With `anew`
    it asks the index for each lock.
    """

    tools: Toolbox
    anew: bool = False

    def resolve(self, interpreter: Interpreter, requirements: Requirements) -> Lock:
        """Return the lock, with the hashes of all files of each chosen release."""
        return self.compile(interpreter.executable, requirements)

    def compile(
        self, python: Path, requirements: Requirements, platform: Sequence[str] = ()
    ) -> Lock:
        """Return the lock for an interpreter, or for the platform of these arguments.

        The interpreter builds sources whose metadata uv must read.
        """
        arguments = [
            *("pip", "compile", "-", "--python", str(python), *platform),
            *("--generate-hashes", "--no-header", "--no-annotate"),
            *_as_of(requirements),
            *binary_arguments(requirements),
            *self._local_index(requirements),
        ]
        stdin = "\n".join((*requirements.pins, *requirements.also, ""))
        cached = not self.anew and self._cache_creation() >= cutoff(requirements)
        view = self._view(python, requirements)
        text = self._run_uv(arguments, stdin, requirements, try_offline=cached, view=view)
        try:
            lock = parse_lock(text)
        except ValueError as error:
            raise BuildError(
                Reason.BUILD_FAILED, f"unexpected output of uv: {error}", text
            ) from error
        check_lock(requirements, lock)
        return lock

    def build(
        self, interpreter: Interpreter, requirements: Requirements, lock: Lock, folder: Path
    ) -> None:
        """Build the environment at `folder`."""
        self._install(interpreter, requirements, lock, folder)
        if damaged := find_damaged(site_packages(folder), self.tools.manifests.sha256):
            # The files are hard links to those of uv's cache, which does not look at them again.
            self.tools.notices.extend(
                f"{name} in uv's cache is not as it was unpacked, and is fetched again: {path}"
                for name, path in damaged.items()
            )
            for view in (None, self._view(interpreter.executable, requirements)):
                self.tools.uv("cache", "clean", *damaged, offline=True, view=view)
            shutil.rmtree(folder)
            self._install(interpreter, requirements, lock, folder)
        add_byte_code(self.tools, interpreter, site_packages(folder))

    def _install(
        self, interpreter: Interpreter, requirements: Requirements, lock: Lock, folder: Path
    ) -> None:
        python = str(interpreter.executable)
        self.tools.uv(
            *("venv", "--no-project", "--relocatable", "--python", python, str(folder)),
            offline=True,
        )
        arguments = [
            *("pip", "install", "--python", str(folder), "--requirement", "-"),
            *("--no-deps", "--require-hashes"),
            *_as_of(requirements),
            *binary_arguments(requirements),
            *self._local_index(requirements),
        ]
        stdin = "\n".join((*map(str, lock), ""))
        wheels = [*arguments, "--only-binary", ":all:"]
        try:
            self._run_uv(wheels, stdin, requirements, try_offline=True)
        except BuildError as error:
            if error.reason is not Reason.NO_WHEEL and not self.tools.offline:
                raise
            view = self._view(interpreter.executable, requirements, folder)
            self._run_uv(arguments, stdin, requirements, try_offline=True, view=view)

    def _run_uv(
        self,
        arguments: list[str],
        stdin: str,
        requirements: Requirements,
        *,
        try_offline: bool,
        view: View | None = None,
    ) -> str:
        def uv(*, offline: bool) -> str:
            only = requirements.only_binary
            return self.tools.uv(
                *arguments, offline=offline, stdin=stdin, only_binary=only, view=view
            )

        offline = self.tools.offline
        if offline or try_offline:
            try:
                return uv(offline=True)
            except BuildError as error:
                if offline or error.reason in {Reason.DISK_FULL, Reason.TIMED_OUT}:
                    raise
        return uv(offline=False)

    def _view(self, python: Path, requirements: Requirements, *writable: Path) -> View:
        """Return what uv sees when it may build sources."""
        root = self.tools.root
        return self.tools.view_of_build(
            python,
            [root / "given", *local_files(self.tools, requirements)],
            root / UV_SOURCES,
            *writable,
        )

    def _local_index(self, requirements: Requirements) -> list[str]:
        """Return the arguments that make the local wheels the only files of their project.

        uv uses only the first index that has a project, as a protection against dependency
        confusion.
        https://docs.astral.sh/uv/concepts/indexes/#searching-across-multiple-indexes
        """
        if not requirements.given:
            return []
        folder = write_simple_index(self.tools, requirements)
        return ["--index-strategy", "first-index", "--index", folder.as_uri()]

    def _cache_creation(self) -> dt.datetime:
        """Return when uv's cache was created: its pages are complete up to that moment."""
        file = self.tools.root / f"{UV_SOURCES}-began"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        return dt.datetime.fromtimestamp(file.stat().st_mtime, tz=dt.timezone.utc)


def _as_of(requirements: Requirements) -> list[str]:
    if is_ahead(cutoff(requirements)):
        return []  # It would only exclude files without an upload time.
    arguments = ["--exclude-newer", f"{cutoff(requirements):%Y-%m-%dT%H:%M:%SZ}"]
    local = local_project(requirements)
    for pin in requirements.pins:
        name, _ = pinned(pin)
        # Files without a date are excluded by any date, so that a local project gets none.
        arguments += ["--exclude-newer-package", f"{name}={'false' if name == local else _NEVER}"]
    return arguments


class Installer(Protocol):
    """An installer for some CPythons; both methods raise BuildError."""

    def resolve(self, interpreter: Interpreter, requirements: Requirements) -> Lock:
        """Return the lock of `requirements` as of their date."""
        ...

    def build(
        self, interpreter: Interpreter, requirements: Requirements, lock: Lock, folder: Path
    ) -> None:
        """Build the environment at `folder`, which does not exist; check the hashes."""
        ...
