"""The store: one folder per environment, named by what is in it, built once and shared.

locks/<key>.json        what requirements came to as of their date, on one interpreter
envs/<key>/             finished environments, and only those
envs/.part-<key>/       one that is being built, or was when somebody pulled the plug
guards/*.lock           who is building what
uv/ files/ wheels/ ...  what environments are made of

Trying: again while the index does not answer, and never twice what would fail again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from matrix.environments.cache_folders import CacheFolders, free_bytes_at
from matrix.environments.commands import Runner, run
from matrix.environments.errors import BuildError, from_os_error
from matrix.environments.installed import check_installed, installed, site_packages
from matrix.environments.lock import dump_lock, parse_line
from matrix.environments.lock_files import Content, LockFiles, lock_key
from matrix.environments.pip_legacy import PipInstaller
from matrix.environments.toolbox import Toolbox, interpreter_id
from matrix.environments.uv import Installer, UvInstaller
from matrix.model.environment import Environment, Interpreter, Requirements
from matrix.model.reason import Reason
from matrix.pypi.client import CachedIndex, index_url
from matrix.pypi.index import Index

__all__ = ["ERA", "LOCK_FORMAT", "EnvironmentStore", "FailedAttempts"]

_TIMES = 3

_T = TypeVar("_T")


class FailedAttempts:
    """Failures by key, remembered while this object lives, but for those that may pass.

    `wait_seconds` is the first pause before the index is tried again; `offline`, once is enough.
    """

    def __init__(self, *, offline: bool, wait_seconds: float) -> None:
        self._offline = offline
        self._wait_seconds = wait_seconds
        self._failed: dict[str, BuildError] = {}
        self._down = threading.Event()

    def make(self, key: str, make: Callable[[], _T]) -> _T:
        """Return what `make` returns; raise its BuildError, without a call where it is known."""
        if key in self._failed:
            told = self._failed[key]
            raise BuildError(told.reason, told.detail, told.log)
        try:
            return self._retrying(make)
        except BuildError as error:
            if not error.passing:
                self._failed[key] = error
            raise

    def _retrying(self, make: Callable[[], _T]) -> _T:
        """Try again while the index does not answer, unless it already failed for others."""
        import stamina  # noqa: PLC0415 - not for a look at what is finished

        def away(error: Exception) -> bool:
            return isinstance(error, BuildError) and error.reason is Reason.INDEX_UNAVAILABLE

        once = self._offline or self._down.is_set()
        try:
            for attempt in stamina.retry_context(
                on=away,
                attempts=1 if once else _TIMES,
                timeout=None,
                wait_initial=self._wait_seconds,
                wait_jitter=self._wait_seconds,
            ):
                with attempt:
                    made = make()
            self._down.clear()
        except BuildError as error:
            if away(error):
                self._down.set()
            raise
        return made


# Part of every key: raise it when environments, or locks, of before must not be used any more.
_FORMAT = "environment/1"
LOCK_FORMAT = "lock/2"
# The CPythons that today's tools refuse.
ERA = frozenset({"2.7", "3.5"})


@dataclasses.dataclass(eq=False)
class EnvironmentStore:
    """Environments by what they hold. Safe to use from threads and from several processes.

    `url` is the package index ("" for the one that the user's own tools ask), `offline` never asks
    it. `seconds` limits each run of a tool, `wait_seconds` is the first pause before the index is
    tried again. The rest are seams: the index's listing, running programs, ways of building,
    free bytes on the disk.
    """

    cache_dir: Path
    url: str = ""
    offline: bool = False
    seconds: float = 300.0
    wait_seconds: float = 1.0
    index: Index | None = None
    runner: Runner = run
    route: Callable[[Interpreter], Installer] | None = None
    free_bytes: Callable[[Path], int] = free_bytes_at

    def __post_init__(self) -> None:
        self.root = self.cache_dir / "environments"
        self._tools = Toolbox(
            self.root, self.url or index_url(), self.offline, self.runner, self.seconds
        )
        self._listing = self.index or CachedIndex(
            self.cache_dir, url=self._tools.index_url, offline=self.offline
        )
        self._attempts = FailedAttempts(offline=self.offline, wait_seconds=self.wait_seconds)
        self._folders = CacheFolders(self._tools, "env", self.free_bytes)
        self._locks = LockFiles(self._tools)

    def peek(self, interpreter: Interpreter, requirements: Requirements) -> Environment | None:
        """Return the environment if it is finished, without network or another process."""
        known = self._locks.known(self._lock_key(interpreter, requirements))
        return None if known is None else self._finished(interpreter, known["lock"])

    def ensure(self, interpreter: Interpreter, requirements: Requirements) -> Environment:
        """Return the environment, built if need be; raise BuildError where that fails.

        A failure that would come again is remembered while this store lives.
        """
        try:
            lock = self.resolve(interpreter, requirements)
            finished = self._finished(interpreter, lock)
            if finished is not None:
                return finished
            return self._attempts.make(
                _environment_key(interpreter, lock),
                lambda: self._build(interpreter, requirements, lock),
            )
        except OSError as error:
            raise from_os_error(error) from error

    def resolve(self, interpreter: Interpreter, requirements: Requirements) -> tuple[str, ...]:
        """Return the lines of the lock, resolved if need be; raise BuildError where that fails."""
        key = self._lock_key(interpreter, requirements)

        def ask() -> Content:
            self._folders.need_space()
            route = (self.route or self._usual_route)(interpreter)
            lock = dump_lock(route.resolve(interpreter, requirements))
            return {"lock": lock, "python": interpreter.version}

        known = self._locks.known(key) or self._attempts.make(
            key, lambda: self._locks.find(key, requirements, ask)
        )
        return tuple(known["lock"])

    def _usual_route(self, interpreter: Interpreter) -> Installer:

        if interpreter.python in ERA:
            return PipInstaller(self._tools, self._listing)
        return UvInstaller(self._tools)

    def _lock_key(self, interpreter: Interpreter, requirements: Requirements) -> str:
        where = (interpreter.version, interpreter.target, interpreter.libc)
        return lock_key(LOCK_FORMAT, self._tools.index_url, where, requirements)

    def _finished(self, interpreter: Interpreter, lock: tuple[str, ...]) -> Environment | None:
        key = _environment_key(interpreter, lock)
        mark = self._folders.mark(key)
        if mark is None or not isinstance(mark.get("python"), str):
            return None
        python = self._folders.path(key) / mark["python"]
        return Environment(python, key, lock, interpreter) if python.exists() else None

    def _build(
        self, interpreter: Interpreter, requirements: Requirements, lock: tuple[str, ...]
    ) -> Environment:
        def fill(part: Path) -> dict[str, object]:
            locked = tuple(parse_line(line) for line in lock)
            route = (self.route or self._usual_route)(interpreter)
            route.build(interpreter, requirements, locked, part)
            found = installed(site_packages(part))
            check_installed(found, requirements.pins, locked)
            windows = (part / "Scripts" / "python.exe").exists()
            python = "Scripts/python.exe" if windows else "bin/python"
            return {"python": python, "installed": found}

        self._folders.make(
            _environment_key(interpreter, lock),
            lambda: self._finished(interpreter, lock) is not None,
            fill,
        )
        finished = self._finished(interpreter, lock)
        if finished is None:
            raise BuildError(Reason.BUILD_FAILED, "the environment has no Python in it")
        return finished


def _environment_key(interpreter: Interpreter, lock: tuple[str, ...]) -> str:
    told = "\n".join((_FORMAT, interpreter_id(interpreter), *lock))
    return hashlib.sha256(told.encode("utf-8")).hexdigest()[:32]
