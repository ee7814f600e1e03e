"""The installer for CPython 3.6 and newer: uv resolves as of a date, and hard-links its cache.

Also the protocol of all installers.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from matrix.environments.errors import BuildError
from matrix.environments.local_wheels import check_lock, local_project, write_simple_index
from matrix.environments.lock import LockedFile, parse_lock, pinned
from matrix.environments.toolbox import Toolbox, binary_arguments, cutoff
from matrix.model.environment import Interpreter, Requirements
from matrix.model.reason import Reason

# Pins were requested by name: the date is for everything else.
_NEVER = "2200-01-01T00:00:00Z"


class UvInstaller:
    """An installer that uses uv; both steps try offline first, which takes a tenth of the time.

    `Toolbox.uv` refuses an offline result that might differ from one with the network.
    """

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    def resolve(
        self, interpreter: Interpreter, requirements: Requirements
    ) -> tuple[LockedFile, ...]:
        """Return the lock, with the hashes of all files of each chosen release."""
        return self.compile(("--python", str(interpreter.executable)), requirements)

    def compile(self, target: Sequence[str], requirements: Requirements) -> tuple[LockedFile, ...]:
        """Return the lock for the interpreter or platform that the arguments `target` select."""
        arguments = [
            *("pip", "compile", "-", *target),
            *("--generate-hashes", "--no-header", "--no-annotate"),
            *_as_of(requirements),
            *binary_arguments(requirements),
            *self._local_index(requirements),
        ]
        stdin = "\n".join((*requirements.pins, *requirements.also, ""))
        cached = self._cache_creation() >= cutoff(requirements)
        text = self._run_uv(arguments, stdin, requirements.only_binary, try_offline=cached)
        try:
            lock = parse_lock(text)
        except ValueError as error:
            raise BuildError(
                Reason.BUILD_FAILED, f"unexpected output of uv: {error}", text
            ) from error
        check_lock(requirements, lock)
        return lock

    def build(
        self,
        interpreter: Interpreter,
        requirements: Requirements,
        lock: tuple[LockedFile, ...],
        folder: Path,
    ) -> None:
        """Build the environment at `folder`."""
        python = str(interpreter.executable)
        self._tools.uv(
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
        self._run_uv(arguments, stdin, requirements.only_binary, try_offline=True)

    def _run_uv(
        self, arguments: list[str], stdin: str, only_binary: tuple[str, ...], *, try_offline: bool
    ) -> str:
        uv, offline = self._tools.uv, self._tools.offline
        if offline or try_offline:
            try:
                return uv(*arguments, offline=True, stdin=stdin, only_binary=only_binary)
            except BuildError as error:
                if offline or error.reason in {Reason.DISK_FULL, Reason.TIMED_OUT}:
                    raise
        return uv(*arguments, offline=False, stdin=stdin, only_binary=only_binary)

    def _local_index(self, requirements: Requirements) -> list[str]:
        """Return the arguments that make the local wheels the only files of their project.

        uv uses only the first index that has a project, as a protection against dependency
        confusion.
        https://docs.astral.sh/uv/concepts/indexes/#searching-across-multiple-indexes
        """
        if not requirements.given:
            return []
        folder = write_simple_index(self._tools, requirements)
        return ["--index-strategy", "first-index", "--index", folder.as_uri()]

    def _cache_creation(self) -> dt.datetime:
        """Return when uv's cache was created: its pages are complete up to that moment."""
        file = self._tools.uv_cache.with_name("uv-began")
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        return dt.datetime.fromtimestamp(file.stat().st_mtime, tz=dt.timezone.utc)


def _as_of(requirements: Requirements) -> list[str]:
    arguments = ["--exclude-newer", f"{cutoff(requirements):%Y-%m-%dT%H:%M:%SZ}"]
    local = local_project(requirements)
    for pin in requirements.pins:
        name, _ = pinned(pin)
        # Files without a date are excluded by any date, so that a local project gets none.
        arguments += ["--exclude-newer-package", f"{name}={'false' if name == local else _NEVER}"]
    return arguments


class Installer(Protocol):
    """An installer for some CPythons; both methods raise BuildError."""

    def resolve(
        self, interpreter: Interpreter, requirements: Requirements
    ) -> tuple[LockedFile, ...]:
        """Return the lock of `requirements` as of their date."""
        ...

    def build(
        self,
        interpreter: Interpreter,
        requirements: Requirements,
        lock: tuple[LockedFile, ...],
        folder: Path,
    ) -> None:
        """Build the environment at `folder`, which does not exist; check the hashes."""
        ...
