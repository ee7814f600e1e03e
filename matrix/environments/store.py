"""The store of environments: one folder each, named by its content, built once and shared.

locks/<key>.json        the lock of requirements as of their date, for one interpreter
envs/<key>/             a finished environment
envs/.part-<key>/       an environment that is being built, or a leftover of a killed run
manifests/              what was in these folders, and in unpacked wheels, when they were made
guards/*.lock           locks of builds
uv/ files/ wheels/ ...  caches of the installers; to uv-sources/ builds of sources write
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from matrix.environments.cache_folders import CacheFolders, Metadata, content_key, free_bytes_at
from matrix.environments.committed_locks import CommittedLock, CommittedLocks, describe_difference
from matrix.environments.errors import BuildError, from_os_error
from matrix.environments.installers import Installer, UvInstaller
from matrix.environments.lock import (
    Content,
    LockFiles,
    check_installed,
    check_markers,
    dump_lock,
    lock_key,
    parse_line,
    read_installed,
    site_packages,
)
from matrix.environments.pip_installer import PipInstaller
from matrix.environments.toolbox import Runner, Toolbox, interpreter_id, run
from matrix.model.environment import Environment, Interpreter, Requirements
from matrix.model.reason import Reason
from matrix.pypi.client import CachedIndex, Index, index_url
from matrix.system.timings import BUILD, RESOLVE, TIMINGS

# Part of every key: raise them to invalidate existing environments, or locks.
_FORMAT = "environment/2"
LOCK_FORMAT = "lock/2"
# What a committed lock fails for where the index, or the CPython, is not the one it was made with.
UNUSABLE = frozenset(
    {Reason.NO_RELEASE, Reason.NO_WHEEL, Reason.REQUIRES_PYTHON, Reason.WRONG_INSTALL}
)
LEGACY_PYTHONS = frozenset({"2.7", "3.5"})
"""The CPythons that current tools refuse."""
_ATTEMPTS = 3

_T = TypeVar("_T")
_R = TypeVar("_R")


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
        import stamina  # noqa: PLC0415 - start-up time: most runs build nothing

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
class ContentStore(Generic[_R]):
    """Environments for runtimes of some kind, by their content. Safe for threads and processes.

    `url` is the package index, "" for the one that the user's tools are configured for; `offline`
    means that it is not used. `seconds` limits each run of a tool, `wait_seconds` is the first
    pause before the index is tried again. An environment is compared with what was built before it
    is returned; with `content` all its files are read. With `anew` every lock is resolved once
    more. The other fields are for tests: the index's listing, how to run programs, free bytes of
    the disk.
    """

    kind: ClassVar[str]
    """The name of the folder that its environments are in, without the `s`."""

    cache_dir: Path
    url: str = ""
    offline: bool = False
    seconds: float = 900.0
    wait_seconds: float = 1.0
    index: Index | None = None
    runner: Runner = run
    free_bytes: Callable[[Path], int] = free_bytes_at
    content: bool = False
    anew: bool = False

    def __post_init__(self) -> None:
        self.root = store_root(self.cache_dir)
        self._tools = Toolbox(
            self.root, self.url or index_url(), self.offline, self.runner, self.seconds
        )
        self._listing = self.index or CachedIndex(
            self.cache_dir, url=self._tools.index_url, offline=self.offline, refresh=self.anew
        )
        self._attempts = FailedAttempts(offline=self.offline, wait_seconds=self.wait_seconds)
        self._folders = CacheFolders(self._tools, self.kind, self.free_bytes)
        self._lock_files = LockFiles(self._tools)
        self._resolved: dict[str, Content] = {}

    def peek(self, runtime: _R, requirements: Requirements) -> Environment | None:
        """Return the environment if it is finished, without network, engine or subprocess."""
        content = self._known(self._lock_key(runtime, requirements), runtime, requirements)
        return None if content is None else self._find(runtime, content["lock"])

    def ensure(self, runtime: _R, requirements: Requirements) -> Environment:
        """Return the environment, built if necessary; raise BuildError where that fails.

        One that is not as it was built is built again. A permanent failure is kept while this store
        lives.
        """
        environment = self.prepare(runtime, requirements)
        return dataclasses.replace(environment, notices=self._tools.take_notices())

    def prepare(self, runtime: _R, requirements: Requirements) -> Environment:
        """Return what `ensure` does, for a part of another build: that one has all notices."""
        try:
            lock = self._locked(runtime, requirements)["lock"]
            found = self._find(runtime, lock)
            if found is None or self._folders.discard_changed(found.key, content=self.content):
                found = self._attempts.make(
                    self._key(runtime, lock), lambda: self._build(runtime, requirements, lock)
                )
            manifest = self._tools.manifests.read(self._folders.path(found.key))
            return dataclasses.replace(found, built=manifest.built if manifest else "")
        except OSError as error:
            raise from_os_error(error) from error

    def _locked(self, runtime: _R, requirements: Requirements) -> Content:
        """Return the content of the lock file, resolved if necessary; raise BuildError."""
        key = self._lock_key(runtime, requirements)
        return self._known(key, runtime, requirements) or self._resolve_to_file(
            key, runtime, requirements
        )

    def _known(self, key: str, _runtime: _R, _requirements: Requirements) -> Content | None:
        """Return the content of a lock without resolving it."""
        return self._resolved.get(key) if self.anew else self._lock_files.read(key)

    def _resolve_to_file(self, key: str, runtime: _R, requirements: Requirements) -> Content:
        def resolve() -> Content:
            self._folders.check_space()
            with TIMINGS.phase(RESOLVE):
                return self._resolve(runtime, requirements)

        self._resolved[key] = self._attempts.make(
            key, lambda: self._lock_files.ensure(key, requirements, resolve, anew=self.anew)
        )
        return self._resolved[key]

    def _make_folder(
        self,
        runtime: _R,
        lock: tuple[str, ...],
        key: str,
        fill: Callable[[Path], Metadata],
        missing: str,
    ) -> Environment:
        """Return the environment that `fill` writes; `missing` is the problem where it has not."""
        with TIMINGS.phase(BUILD):
            self._folders.ensure(key, lambda: self._find(runtime, lock) is not None, fill)
        environment = self._find(runtime, lock)
        if environment is None:
            raise BuildError(Reason.BUILD_FAILED, missing)
        return environment

    def _lock_key(self, runtime: _R, requirements: Requirements) -> str:
        raise NotImplementedError

    def _key(self, runtime: _R, lock: tuple[str, ...]) -> str:
        raise NotImplementedError

    def _find(self, runtime: _R, lock: tuple[str, ...]) -> Environment | None:
        raise NotImplementedError

    def _resolve(self, runtime: _R, requirements: Requirements) -> Content:
        raise NotImplementedError

    def _build(self, runtime: _R, requirements: Requirements, lock: tuple[str, ...]) -> Environment:
        raise NotImplementedError


@dataclasses.dataclass(eq=False)
class EnvironmentStore(ContentStore[Interpreter]):
    """Environments for interpreters of this machine.

    A lock that this machine has not resolved yet is taken from those `committed`. Where one cannot
    be used here it is resolved; with `anew` all are, and what differs is a notice. `installer` is
    for tests.
    """

    kind = "env"

    installer: Callable[[Interpreter], Installer] | None = None
    committed: CommittedLocks = dataclasses.field(default_factory=CommittedLocks)
    _refused: set[str] = dataclasses.field(default_factory=set, init=False)

    def resolve(self, interpreter: Interpreter, requirements: Requirements) -> tuple[str, ...]:
        """Return the lines of the lock, resolved if necessary; raise BuildError."""
        return tuple(self._locked(interpreter, requirements)["lock"])

    def prepare(self, runtime: Interpreter, requirements: Requirements) -> Environment:
        """Return what `ensure` does; resolve where the committed lock cannot be used here."""
        try:
            return super().prepare(runtime, requirements)
        except BuildError as error:
            key = self._lock_key(runtime, requirements)
            if error.reason not in UNUSABLE or self._lock_files.read(key) is not None:
                raise
            if self._committed_lock(key, runtime, requirements) is None:
                raise
            self._tools.notices.append(describe_refusal(runtime, requirements, error))
            self._refused.add(key)
            return super().prepare(runtime, requirements)

    def _known(self, key: str, runtime: Interpreter, requirements: Requirements) -> Content | None:
        known = super()._known(key, runtime, requirements)
        if known is None and (committed := self._committed_lock(key, runtime, requirements)):
            return {"lock": committed.lines}
        return known

    def _committed_lock(
        self, key: str, runtime: Interpreter, requirements: Requirements
    ) -> CommittedLock | None:
        """Return the committed lock, None where there is none that may be used."""
        if self.anew or key in self._refused:
            return None
        return self.committed.find(runtime, requirements, self._tools.notices)

    def _resolve(self, runtime: Interpreter, requirements: Requirements) -> Content:
        lock = dump_lock(self._installer_for(runtime).resolve(runtime, requirements))
        committed = self.committed.find(runtime, requirements, self._tools.notices)
        if self.anew and committed and (change := describe_difference(committed.lines, lock)):
            self._tools.notices.append(describe_change(runtime, requirements, change))
        return {"lock": lock, "python": runtime.version}

    def _installer_for(self, interpreter: Interpreter) -> Installer:
        if self.installer is not None:
            return self.installer(interpreter)
        if interpreter.python in LEGACY_PYTHONS:
            return PipInstaller(self._tools, self._listing)
        return UvInstaller(self._tools, anew=self.anew)

    def _lock_key(self, runtime: Interpreter, requirements: Requirements) -> str:
        parts = (runtime.version, runtime.target, runtime.libc)
        return lock_key(LOCK_FORMAT, self._tools.index_url, parts, requirements)

    def _key(self, runtime: Interpreter, lock: tuple[str, ...]) -> str:
        return content_key(_FORMAT, interpreter_id(runtime), *lock)

    def _find(self, runtime: Interpreter, lock: tuple[str, ...]) -> Environment | None:
        key = self._key(runtime, lock)
        metadata = self._folders.metadata(key)
        if metadata is None or not isinstance(metadata.get("python"), str):
            return None
        python = self._folders.path(key) / metadata["python"]
        if not python.exists():
            return None
        return Environment(python, key, lock, runtime, folder=self._folders.path(key))

    def _build(
        self, runtime: Interpreter, requirements: Requirements, lock: tuple[str, ...]
    ) -> Environment:
        def fill(part: Path) -> Metadata:
            locked = tuple(parse_line(line) for line in lock)
            self._installer_for(runtime).build(runtime, requirements, locked, part)
            installed = read_installed(site_packages(part))
            check_installed(installed, requirements.pins, locked)
            check_markers(site_packages(part), runtime.version, installed)
            windows = (part / "Scripts" / "python.exe").exists()
            python = "Scripts/python.exe" if windows else "bin/python"
            return {"python": python, "installed": installed}

        missing = "the environment has no Python executable"
        return self._make_folder(runtime, lock, self._key(runtime, lock), fill, missing)


def describe_refusal(runtime: Interpreter, requirements: Requirements, error: BuildError) -> str:
    """Return the notice of a committed lock with which a build failed."""
    subject = f"the committed lock of {_describe(runtime, requirements)}"
    return f"{subject} cannot be used here, and is resolved again: {error.detail}"


def describe_change(runtime: Interpreter, requirements: Requirements, change: str) -> str:
    """Return the notice of a lock that was resolved once more, and is another."""
    return f"the lock of {_describe(runtime, requirements)} is not the committed one: {change}"


def _describe(runtime: Interpreter, requirements: Requirements) -> str:
    pins = " and ".join(requirements.pins)
    return f"{pins} as of {requirements.as_of:%Y-%m-%d} on CPython {runtime.version}"


def store_root(cache_dir: Path) -> Path:
    """Return the folder of all stores."""
    return cache_dir / "environments"
