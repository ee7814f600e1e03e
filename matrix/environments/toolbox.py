"""What both ways of building share: folders of the store, tools, variables and limits."""

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

from matrix.environments.commands import Runner, RunningCommand, check, child_environment
from matrix.environments.errors import BuildError
from matrix.model.environment import Interpreter, Requirements
from matrix.model.reason import Reason

__all__ = ["Toolbox", "cutoff", "interpreter_id", "uv_binary"]

_INDEX_SECONDS = "60"
_LACKING = "needs to be downloaded from a registry"


_finding_uv = threading.Lock()


def uv_binary() -> str:
    """Return where uv is.

    By one thread at a time: it asks sysconfig, whose first use is not safe among threads before
    CPython 3.12 (https://github.com/python/cpython/issues/92452).
    """
    import uv  # noqa: PLC0415 - only where something is built

    with _finding_uv:
        return uv.find_uv_bin()


@dataclasses.dataclass(frozen=True)
class Toolbox:
    """`root` is the store's folder. All of it lies on one file system, for hard links.

    `seconds` limits each single run of a tool.
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

    def uv(
        self,
        *arguments: str,
        offline: bool,
        given: str = "",
        only_binary: tuple[str, ...] = (),
    ) -> str:
        """Run uv without this machine's configuration, return what it prints.

        Offline it takes an older release where it does not have what it needs to know of a newer
        one, with exit code 0 and a word in its log: raises BuildError(INDEX_UNAVAILABLE) then.
        """
        own = {
            "UV_CACHE_DIR": str(self.uv_cache),
            "UV_DEFAULT_INDEX": self.index_url,
            "UV_HTTP_TIMEOUT": _INDEX_SECONDS,
            "UV_LINK_MODE": "hardlink",
            **({"UV_OFFLINE": "1", "RUST_LOG": "warn"} if offline else {}),
        }
        argv = [uv_binary(), *arguments, "--quiet"]
        lacking = _LACKING if offline else ""
        return self.run(argv, own, given=given, only_binary=only_binary, lacking=lacking)

    def run(
        self,
        argv: Sequence[str],
        own: Mapping[str, str],
        *,
        given: str = "",
        only_binary: tuple[str, ...] = (),
        lacking: str = "",
    ) -> str:
        """Run a tool in a scratch folder of its own, return what it prints."""
        with self.scratch() as folder:
            environ = child_environment(folder, own)
            command = RunningCommand(argv, environ, folder, self.seconds, given)
            return check(self.runner, command, only_binary, lacking)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield an empty folder that is gone afterwards."""
        parent = self.root / "scratch"
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def guard(self, name: str, *, wait: bool = True) -> Iterator[None]:
        """Be alone, among threads and processes, in making `name` while the block runs.

        Raises BuildError(TIMED_OUT) where somebody else does not finish.
        """
        import filelock  # noqa: PLC0415 - brings asyncio: not for a look at what is finished

        folder = self.root / "guards"
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / f"{name}.lock")
        try:
            lock.acquire(timeout=4 * self.seconds if wait else 0)
        except filelock.Timeout as error:
            said = f"another run holds {error.lock_file}"
            raise BuildError(Reason.TIMED_OUT, said) from error
        try:
            yield
        finally:
            lock.release()

    @property
    def host_python(self) -> str:
        """Return the interpreter that runs this, which the tools run on."""
        return sys.executable


def cutoff(requirements: Requirements) -> dt.datetime:
    """Return the moment as of which is resolved: the end (UTC) of the day that is asked for."""
    day = dt.datetime.combine(requirements.as_of, dt.time(), tzinfo=dt.timezone.utc)
    return day + dt.timedelta(days=1)


def interpreter_id(interpreter: Interpreter) -> str:
    """Return a short name for exactly this build of an interpreter at this place."""
    told = "\0".join((str(interpreter.executable), interpreter.version, interpreter.build))
    digest = hashlib.sha256(told.encode("utf-8")).hexdigest()[:12]
    return f"{interpreter.version}-{interpreter.target}-{digest}"
