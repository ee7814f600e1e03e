"""CPython 3.6 and newer: uv resolves as of a date, and hard-links what it has.

The two things that a way of building must do; which way is a question of the CPython.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from matrix.environments.dated_index import check_given, given_project, simple_index
from matrix.environments.errors import BuildError
from matrix.environments.lock import LockedFile, parse_lock, pinned
from matrix.environments.toolbox import Toolbox, cutoff
from matrix.model.environment import Interpreter, Requirements
from matrix.model.reason import Reason

__all__ = ["Installer", "UvInstaller"]

# What is pinned was asked for by name: the date is for all that the pins leave open.
_NEVER = "2200-01-01T00:00:00Z"


class UvInstaller:
    """Both steps are tried without the network first: it takes a tenth of the time.

    `Toolbox.uv` refuses an answer that would have been another one with the network.
    """

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    def resolve(
        self, interpreter: Interpreter, requirements: Requirements
    ) -> tuple[LockedFile, ...]:
        """Return the lock, with the hashes of all files of each chosen release."""
        return self.compile(("--python", str(interpreter.executable)), requirements)

    def compile(self, where: Sequence[str], requirements: Requirements) -> tuple[LockedFile, ...]:
        """Return the lock for the interpreter or target that the arguments `where` name to uv."""
        arguments = [
            *("pip", "compile", "-", *where),
            *("--generate-hashes", "--no-header", "--no-annotate"),
            *_as_of(requirements),
            *_binary(requirements),
            *self._given(requirements),
        ]
        given = "\n".join((*requirements.pins, *requirements.also, ""))
        cached = self._cache_began() >= cutoff(requirements)
        text = self._first_offline(arguments, given, requirements.only_binary, try_offline=cached)
        try:
            lock = parse_lock(text)
        except ValueError as error:
            raise BuildError(Reason.BUILD_FAILED, f"uv printed {error}", text) from error
        check_given(requirements, lock)
        return lock

    def build(
        self,
        interpreter: Interpreter,
        requirements: Requirements,
        lock: tuple[LockedFile, ...],
        folder: Path,
    ) -> None:
        """Make the environment at `folder`."""
        python = str(interpreter.executable)
        self._tools.uv(
            *("venv", "--no-project", "--relocatable", "--python", python, str(folder)),
            offline=True,
        )
        arguments = [
            *("pip", "install", "--python", str(folder), "--requirement", "-"),
            *("--no-deps", "--require-hashes"),
            *_as_of(requirements),
            *_binary(requirements),
            *self._given(requirements),
        ]
        given = "\n".join((*map(str, lock), ""))
        self._first_offline(arguments, given, requirements.only_binary, try_offline=True)

    def _first_offline(
        self, arguments: list[str], given: str, only_binary: tuple[str, ...], *, try_offline: bool
    ) -> str:
        uv, offline = self._tools.uv, self._tools.offline
        if offline or try_offline:
            try:
                return uv(*arguments, offline=True, given=given, only_binary=only_binary)
            except BuildError as error:
                if offline or error.reason in {Reason.DISK_FULL, Reason.TIMED_OUT}:
                    raise
        return uv(*arguments, offline=False, given=given, only_binary=only_binary)

    def _given(self, requirements: Requirements) -> list[str]:
        """Return what lets uv know the given files, and nothing else of their project.

        Of several indexes it asks the first that has a project, and no other: its own protection
        against somebody else's package of the same name.
        https://docs.astral.sh/uv/concepts/indexes/#searching-across-multiple-indexes
        """
        if not requirements.given:
            return []
        folder = simple_index(self._tools, requirements)
        return ["--index-strategy", "first-index", "--index", folder.as_uri()]

    def _cache_began(self) -> dt.datetime:
        """Return since when uv's cache is there: what it knows is whole up to that moment."""
        mark = self._tools.uv_cache.with_name("uv-began")
        if not mark.exists():
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
        return dt.datetime.fromtimestamp(mark.stat().st_mtime, tz=dt.timezone.utc)


def _as_of(requirements: Requirements) -> list[str]:
    arguments = ["--exclude-newer", f"{cutoff(requirements):%Y-%m-%dT%H:%M:%SZ}"]
    own = given_project(requirements)
    for pin in requirements.pins:
        name, _ = pinned(pin)
        # A page without dates has nothing that is new enough, however late the date.
        arguments += ["--exclude-newer-package", f"{name}={'false' if name == own else _NEVER}"]
    return arguments


def _binary(requirements: Requirements) -> list[str]:
    return [part for name in requirements.only_binary for part in ("--only-binary", name)]


class Installer(Protocol):
    """Resolve as of a date; build from a lock. Both raise BuildError."""

    def resolve(
        self, interpreter: Interpreter, requirements: Requirements
    ) -> tuple[LockedFile, ...]:
        """Return what `requirements` came to as of their date."""
        ...

    def build(
        self,
        interpreter: Interpreter,
        requirements: Requirements,
        lock: tuple[LockedFile, ...],
        folder: Path,
    ) -> None:
        """Make the environment at `folder`, which does not exist; hashes are checked."""
        ...
