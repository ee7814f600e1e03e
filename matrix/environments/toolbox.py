"""The toolbox of all installers: the folders of the store, running tools, locks and limits."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import hashlib
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import filelock
import uv

from matrix.environments.commands import Command, Runner, check_output, child_environment
from matrix.environments.errors import BuildError
from matrix.model.environment import Interpreter, Requirements
from matrix.model.reason import Reason

_INDEX_SECONDS = "60"
_INCOMPLETE_WARNING = "needs to be downloaded from a registry"
_uv_lock = threading.Lock()


def uv_binary() -> str:
    """Return the path of uv; one thread at a time searches it.

    The search uses sysconfig, whose first use is not thread-safe before CPython 3.12
    (https://github.com/python/cpython/issues/92452).
    """
    with _uv_lock:
        return uv.find_uv_bin()


@dataclasses.dataclass(frozen=True)
class Toolbox:
    """The store's folder (`root`) and the tools that run for it; `seconds` limits each command.

    All of `root` lies on one file system, for hard links.
    """

    root: Path
    index_url: str
    offline: bool
    runner: Runner
    seconds: float

    @property
    def uv_cache(self) -> Path:
        """Return the folder that environments are hard-linked from."""
        return self.root / "uv"

    @property
    def host_python(self) -> str:
        """Return the interpreter that runs this program, and the tools that are Python."""
        return sys.executable

    def uv(
        self, *arguments: str, offline: bool, stdin: str = "", only_binary: tuple[str, ...] = ()
    ) -> str:
        """Run uv without this machine's configuration; return its output.

        Offline uv resolves to an older release where it lacks the metadata of a newer one, with
        exit code 0 and a warning: that raises BuildError(INDEX_UNAVAILABLE).
        """
        variables = {
            "UV_CACHE_DIR": str(self.uv_cache),
            "UV_DEFAULT_INDEX": self.index_url,
            "UV_HTTP_TIMEOUT": _INDEX_SECONDS,
            "UV_LINK_MODE": "hardlink",
            **({"UV_OFFLINE": "1", "RUST_LOG": "warn"} if offline else {}),
        }
        return self.run(
            [uv_binary(), *arguments, "--quiet"],
            variables,
            stdin=stdin,
            only_binary=only_binary,
            incomplete_warning=_INCOMPLETE_WARNING if offline else "",
        )

    def run(
        self,
        argv: Sequence[str],
        variables: Mapping[str, str],
        *,
        stdin: str = "",
        only_binary: tuple[str, ...] = (),
        incomplete_warning: str = "",
    ) -> str:
        """Run a tool in a scratch folder of its own; return its output."""
        with self.scratch() as folder:
            environ = child_environment(folder, variables)
            command = Command(argv, environ, folder, self.seconds, stdin)
            return check_output(self.runner, command, only_binary, incomplete_warning)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield an empty folder that is removed afterwards."""
        parent = self.root / "scratch"
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def guard(self, name: str, *, wait: bool = True) -> Iterator[None]:
        """Hold the lock of `name` among threads and processes while the block runs.

        Raises BuildError(TIMED_OUT) where another one does not release it.
        """
        folder = self.root / "guards"
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / f"{name}.lock")
        try:
            lock.acquire(timeout=4 * self.seconds if wait else 0)
        except filelock.Timeout as error:
            detail = f"another run holds {error.lock_file}"
            raise BuildError(Reason.TIMED_OUT, detail) from error
        try:
            yield
        finally:
            lock.release()


def cutoff(requirements: Requirements) -> dt.datetime:
    """Return the moment that requirements are resolved as of: the end (UTC) of their day."""
    day = dt.datetime.combine(requirements.as_of, dt.time(), tzinfo=dt.timezone.utc)
    return day + dt.timedelta(days=1)


def binary_arguments(requirements: Requirements) -> list[str]:
    """Return the `--only-binary` arguments for uv or pip."""
    return [part for name in requirements.only_binary for part in ("--only-binary", name)]


def interpreter_id(interpreter: Interpreter) -> str:
    """Return a short name for exactly this build of an interpreter at this path."""
    text = "\0".join((str(interpreter.executable), interpreter.version, interpreter.build))
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()[:12]
    return f"{interpreter.version}-{interpreter.target}-{digest}"
