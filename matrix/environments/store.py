"""The store: one folder per environment, named by what is in it, built once and shared.

locks/<key>.json        what requirements came to as of their date, on one interpreter
envs/<key>/             finished environments, and only those
envs/.part-<key>/       one that is being built, or was when somebody pulled the plug
guards/*.lock           who is building what
uv/ files/ wheels/ ...  what environments are made of
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from matrix.environments.failures import BuildError, from_os_error
from matrix.environments.installed import check_installed, installed, site_packages
from matrix.environments.lock import Locked, dump_lock, parse_line
from matrix.environments.route import Route
from matrix.environments.running import Runner, run
from matrix.environments.toolbox import Toolbox, interpreter_id
from matrix.index import CachedIndex, Index, index_url
from matrix.model.environment import Environment, Interpreter, Requirements
from matrix.model.reason import Reason

__all__ = ["EnvironmentStore"]

# Part of every key: raise it when environments of before must not be used any more.
_FORMAT = "environment/1"
_MARK = "matrix-environment.json"
_ERA = {"2.7", "3.5"}
_NEEDED_BYTES = 400 * 1024 * 1024
_ATTEMPTS = 3
# Longer than any tool may run: what is older belongs to no one.
_SCRATCH_SECONDS = 24 * 3600

_T = TypeVar("_T")


def _free_bytes(path: Path) -> int:
    return shutil.disk_usage(path).free


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
    route: Callable[[Interpreter], Route] | None = None
    free_bytes: Callable[[Path], int] = _free_bytes
    _failed: dict[str, BuildError] = dataclasses.field(default_factory=dict)
    _down: threading.Event = dataclasses.field(default_factory=threading.Event)
    _swept: bool = False

    def __post_init__(self) -> None:
        self.root = self.cache_dir / "environments"
        self._tools = Toolbox(
            self.root, self.url or index_url(), self.offline, self.runner, self.seconds
        )
        self._listing = self.index or CachedIndex(
            self.cache_dir, url=self._tools.index_url, offline=self.offline
        )

    def peek(self, interpreter: Interpreter, requirements: Requirements) -> Environment | None:
        """Return the environment if it is finished, without network or another process."""
        lock = self._known_lock(self._lock_key(interpreter, requirements))
        return None if lock is None else self._finished(interpreter, lock)

    def ensure(self, interpreter: Interpreter, requirements: Requirements) -> Environment:
        """Return the environment, built if need be; raise BuildError where that fails.

        A failure that would come again is remembered while this store lives.
        """
        lock_key = self._lock_key(interpreter, requirements)
        try:
            lock = self._known_lock(lock_key) or self._remembering(
                lock_key, lambda: self._resolve(lock_key, interpreter, requirements)
            )
            finished = self._finished(interpreter, lock)
            if finished is not None:
                return finished
            return self._remembering(
                _environment_key(interpreter, lock),
                lambda: self._build(interpreter, requirements, lock),
            )
        except OSError as error:
            raise from_os_error(error) from error

    def _remembering(self, key: str, make: Callable[[], _T]) -> _T:
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

        def passing(error: Exception) -> bool:
            return isinstance(error, BuildError) and error.reason is Reason.INDEX_UNAVAILABLE

        once = self._tools.offline or self._down.is_set()
        try:
            for attempt in stamina.retry_context(
                on=passing,
                attempts=1 if once else _ATTEMPTS,
                timeout=None,
                wait_initial=self.wait_seconds,
                wait_jitter=self.wait_seconds,
            ):
                with attempt:
                    made = make()
            self._down.clear()
        except BuildError as error:
            if passing(error):
                self._down.set()
            raise
        return made

    def _usual_route(self, interpreter: Interpreter) -> Route:
        from matrix.environments.era import EraRoute  # noqa: PLC0415 - seldom needed, and slow
        from matrix.environments.modern import ModernRoute  # noqa: PLC0415

        if interpreter.python in _ERA:
            return EraRoute(self._tools, self._listing)
        return ModernRoute(self._tools)

    def _lock_key(self, interpreter: Interpreter, requirements: Requirements) -> str:
        told = [
            _FORMAT,
            self._tools.index_url,
            interpreter.version,
            interpreter.target,
            interpreter.libc,
            requirements.as_of.isoformat(),
            sorted(requirements.pins),
            sorted(requirements.also),
            sorted(requirements.only_binary),
        ]
        return hashlib.sha256(json.dumps(told).encode("utf-8")).hexdigest()[:32]

    def _lock_file(self, key: str) -> Path:
        return self.root / "locks" / f"{key}.json"

    def _known_lock(self, key: str) -> tuple[str, ...] | None:
        try:
            return tuple(json.loads(self._lock_file(key).read_text("utf-8"))["lock"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _resolve(
        self, key: str, interpreter: Interpreter, requirements: Requirements
    ) -> tuple[str, ...]:
        with self._tools.guard(f"lock-{key}"):
            known = self._known_lock(key)
            if known is not None:
                return known
            self._need_space()
            route = (self.route or self._usual_route)(interpreter)
            lock = dump_lock(route.resolve(interpreter, requirements))
            told = {
                "lock": lock,
                "python": interpreter.version,
                "pins": requirements.pins,
                "also": requirements.also,
                "as_of": requirements.as_of.isoformat(),
            }
            file = self._lock_file(key)
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(".part")
            part.write_text(json.dumps(told, indent=1), "utf-8")
            part.replace(file)
            return lock

    def _finished(self, interpreter: Interpreter, lock: tuple[str, ...]) -> Environment | None:
        key = _environment_key(interpreter, lock)
        folder = self.root / "envs" / key
        try:
            python = folder / json.loads((folder / _MARK).read_text("utf-8"))["python"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return Environment(python, key, lock, interpreter) if python.exists() else None

    def _build(
        self, interpreter: Interpreter, requirements: Requirements, lock: tuple[str, ...]
    ) -> Environment:
        self._sweep()
        key = _environment_key(interpreter, lock)
        folder = self.root / "envs" / key
        part = folder.with_name(f".part-{key}")
        with self._tools.guard(f"env-{key}"):
            finished = self._finished(interpreter, lock)
            if finished is not None:
                return finished
            self._need_space()
            part.parent.mkdir(parents=True, exist_ok=True)
            for old in (part, folder):
                if old.exists():
                    shutil.rmtree(old)
            try:
                locked = tuple(parse_line(line) for line in lock)
                self._fill(interpreter, requirements, locked, part)
                part.replace(folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
        finished = self._finished(interpreter, lock)
        if finished is None:
            raise BuildError(Reason.BUILD_FAILED, "the environment has no Python in it")
        return finished

    def _fill(
        self,
        interpreter: Interpreter,
        requirements: Requirements,
        lock: tuple[Locked, ...],
        part: Path,
    ) -> None:
        (self.route or self._usual_route)(interpreter).build(interpreter, requirements, lock, part)
        found = installed(site_packages(part))
        check_installed(found, requirements.pins, lock)
        windows = (part / "Scripts" / "python.exe").exists()
        mark = {"python": "Scripts/python.exe" if windows else "bin/python", "installed": found}
        (part / _MARK).write_text(json.dumps(mark), "utf-8")

    def _need_space(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        free = self.free_bytes(self.root)
        if free < _NEEDED_BYTES:
            raise BuildError(
                Reason.DISK_FULL,
                f"{free // 2**20} MB are free at {self.root}, "
                f"an environment may need {_NEEDED_BYTES // 2**20} MB",
            )

    def _sweep(self) -> None:
        """Once: remove what runs that were killed left behind."""
        if self._swept:
            return
        self._swept = True
        for scratch in (self.root / "scratch").glob("*"):
            with contextlib.suppress(OSError):
                if time.time() - scratch.stat().st_mtime > _SCRATCH_SECONDS:
                    shutil.rmtree(scratch, ignore_errors=True)
        for part in (self.root / "envs").glob(".part-*"):
            guard = self._tools.guard(f"env-{part.name.removeprefix('.part-')}", wait=False)
            with contextlib.suppress(BuildError), guard:
                shutil.rmtree(part, ignore_errors=True)


def _environment_key(interpreter: Interpreter, lock: tuple[str, ...]) -> str:
    told = "\n".join((_FORMAT, interpreter_id(interpreter), *lock))
    return hashlib.sha256(told.encode("utf-8")).hexdigest()[:32]
