"""The store of environments: one folder each, named by its content, built once and shared.

locks/<key>.json        the lock of requirements as of their date, for one interpreter
envs/<key>/             a finished environment
envs/.part-<key>/       an environment that is being built, or a leftover of a killed run
guards/*.lock           locks of builds
uv/ files/ wheels/ ...  caches of the installers
"""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import stamina

from matrix.environments.cache_folders import CacheFolders, free_bytes_at
from matrix.environments.errors import BuildError, from_os_error
from matrix.environments.installers import Installer, PipInstaller, UvInstaller
from matrix.environments.lock import (
    Content,
    LockFiles,
    check_installed,
    dump_lock,
    lock_key,
    parse_line,
    read_installed,
    site_packages,
)
from matrix.environments.toolbox import Runner, Toolbox, interpreter_id, run
from matrix.model.environment import Environment, Interpreter, Requirements
from matrix.model.reason import Reason
from matrix.pypi.client import CachedIndex, Index, index_url

# Part of every key: raise them to invalidate existing environments, or locks.
_FORMAT = "environment/1"
LOCK_FORMAT = "lock/2"
LEGACY_PYTHONS = frozenset({"2.7", "3.5"})
"""The CPythons that current tools refuse."""
_ATTEMPTS = 3

_T = TypeVar("_T")


class FailedAttempts:
    """Failures by key, kept while this object lives, except transient ones.

    An unavailable index is tried again, first after `wait_seconds`, but not when `offline`.
    """

    def __init__(self, *, offline: bool, wait_seconds: float) -> None:
        self._offline = offline
        self._wait_seconds = wait_seconds
        self._failed: dict[str, BuildError] = {}
        self._down = threading.Event()

    def make(self, key: str, make: Callable[[], _T]) -> _T:
        """Return the result of `make`; raise its BuildError, or the kept one of an earlier call."""
        if key in self._failed:
            error = self._failed[key]
            raise BuildError(error.reason, error.detail, error.log)
        try:
            return self._retry(make)
        except BuildError as error:
            if not error.transient:
                self._failed[key] = error
            raise

    def _retry(self, make: Callable[[], _T]) -> _T:
        """Retry while the index is unavailable, unless it was for the last call as well."""

        def is_unavailable(error: Exception) -> bool:
            return isinstance(error, BuildError) and error.reason is Reason.INDEX_UNAVAILABLE

        once = self._offline or self._down.is_set()
        try:
            for attempt in stamina.retry_context(
                on=is_unavailable,
                attempts=1 if once else _ATTEMPTS,
                timeout=None,
                wait_initial=self._wait_seconds,
                wait_jitter=self._wait_seconds,
            ):
                with attempt:
                    result = make()
            self._down.clear()
        except BuildError as error:
            if is_unavailable(error):
                self._down.set()
            raise
        return result


@dataclasses.dataclass(eq=False)
class EnvironmentStore:
    """Environments by their content. Safe for threads and processes.

    `url` is the package index, "" for the one that the user's tools are configured for; `offline`
    means that it is not used. `seconds` limits each run of a tool, `wait_seconds` is the first
    pause before the index is tried again. The other fields are for tests: the index's listing, how
    to run programs, the choice of an installer, free bytes of the disk.
    """

    cache_dir: Path
    url: str = ""
    offline: bool = False
    seconds: float = 300.0
    wait_seconds: float = 1.0
    index: Index | None = None
    runner: Runner = run
    installer: Callable[[Interpreter], Installer] | None = None
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
        """Return the environment if it is finished, without network or subprocess."""
        content = self._locks.read(self._lock_key(interpreter, requirements))
        return None if content is None else self._find(interpreter, content["lock"])

    def ensure(self, interpreter: Interpreter, requirements: Requirements) -> Environment:
        """Return the environment, built if necessary; raise BuildError where that fails.

        A permanent failure is kept while this store lives.
        """
        try:
            lock = self.resolve(interpreter, requirements)
            environment = self._find(interpreter, lock)
            if environment is not None:
                return environment
            return self._attempts.make(
                _environment_key(interpreter, lock),
                lambda: self._build(interpreter, requirements, lock),
            )
        except OSError as error:
            raise from_os_error(error) from error

    def resolve(self, interpreter: Interpreter, requirements: Requirements) -> tuple[str, ...]:
        """Return the lines of the lock, resolved if necessary; raise BuildError."""
        key = self._lock_key(interpreter, requirements)

        def resolve() -> Content:
            self._folders.check_space()
            lock = dump_lock(self._installer_for(interpreter).resolve(interpreter, requirements))
            return {"lock": lock, "python": interpreter.version}

        content = self._locks.read(key) or self._attempts.make(
            key, lambda: self._locks.ensure(key, requirements, resolve)
        )
        return tuple(content["lock"])

    def _installer_for(self, interpreter: Interpreter) -> Installer:
        if self.installer is not None:
            return self.installer(interpreter)
        if interpreter.python in LEGACY_PYTHONS:
            return PipInstaller(self._tools, self._listing)
        return UvInstaller(self._tools)

    def _lock_key(self, interpreter: Interpreter, requirements: Requirements) -> str:
        runtime = (interpreter.version, interpreter.target, interpreter.libc)
        return lock_key(LOCK_FORMAT, self._tools.index_url, runtime, requirements)

    def _find(self, interpreter: Interpreter, lock: tuple[str, ...]) -> Environment | None:
        key = _environment_key(interpreter, lock)
        metadata = self._folders.metadata(key)
        if metadata is None or not isinstance(metadata.get("python"), str):
            return None
        python = self._folders.path(key) / metadata["python"]
        return Environment(python, key, lock, interpreter) if python.exists() else None

    def _build(
        self, interpreter: Interpreter, requirements: Requirements, lock: tuple[str, ...]
    ) -> Environment:
        def fill(part: Path) -> dict[str, object]:
            locked = tuple(parse_line(line) for line in lock)
            self._installer_for(interpreter).build(interpreter, requirements, locked, part)
            installed = read_installed(site_packages(part))
            check_installed(installed, requirements.pins, locked)
            windows = (part / "Scripts" / "python.exe").exists()
            python = "Scripts/python.exe" if windows else "bin/python"
            return {"python": python, "installed": installed}

        self._folders.ensure(
            _environment_key(interpreter, lock),
            lambda: self._find(interpreter, lock) is not None,
            fill,
        )
        environment = self._find(interpreter, lock)
        if environment is None:
            raise BuildError(Reason.BUILD_FAILED, "the environment has no Python executable")
        return environment


def _environment_key(interpreter: Interpreter, lock: tuple[str, ...]) -> str:
    text = "\n".join((_FORMAT, interpreter_id(interpreter), *lock))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]
