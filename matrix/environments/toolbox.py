"""The toolbox of all installers: the folders of the store, running tools, locks and limits.

Commands are limited in time, killed with their children, and get an allow-list of environment
variables, so that neither the caller's secrets nor this machine's pip and uv settings reach them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import functools
import hashlib
import os
import secrets
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import filelock
import uv

from matrix.environments.errors import BuildError, from_log, from_os_error
from matrix.environments.manifest import Manifests
from matrix.model.environment import Interpreter, Requirements
from matrix.model.reason import Reason
from matrix.system.files import put_in_place
from matrix.system.processes import CHILDREN, ProcessTree
from matrix.system.proxies import proxy_exceptions
from matrix.system.sandbox import View, python_paths
from matrix.system.sandboxed import ProcessLimits, SandboxedTree, mechanism
from matrix.system.timings import TIMINGS

_WINDOWS = ("SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC", "PATHEXT", "NUMBER_OF_PROCESSORS")
# Compilers, for source distributions.
_COMPILERS = ("CC", "CXX", "CFLAGS", "LDFLAGS", "SDKROOT")
# For a proxy that signs certificates itself.
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT")
_CA_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_BUILD_LIMITS = ProcessLimits(data_bytes=8 << 30, file_bytes=4 << 30, processes=8192)
UV_SOURCES = "uv-sources"
"""The cache of uv, below `Toolbox.root`, to which builds of sources may write."""
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_PASSED_VARIABLES = (
    *("PATH", "LANG", "LC_ALL", *_WINDOWS, "PROCESSOR_ARCHITECTURE", *_COMPILERS),
    *(*_CERTIFICATES, *_CA_BUNDLES, *map(str.upper, _PROXIES), *_PROXIES),
)


@dataclasses.dataclass(frozen=True)
class Command:
    """A command line; `stdin` is its standard input, `seconds` its time limit.

    `view` is what it sees of this machine's files where there is a sandbox, None for a tool that
    runs no code of a release.
    """

    argv: Sequence[str]
    environ: Mapping[str, str]
    folder: Path
    seconds: float
    stdin: str = ""
    view: View | None = None


@dataclasses.dataclass(frozen=True)
class CommandResult:
    """Exit code, standard output, standard error, and the CPU time if it is known."""

    code: int
    out: str
    err: str
    cpu_seconds: float | None = None


Runner = Callable[[Command], CommandResult]


def run(command: Command, *, start: Callable[..., ProcessTree] = ProcessTree) -> CommandResult:
    """Run a command to its end; raise BuildError(TIMED_OUT) when it exceeds its time limit.

    An exception (such as Ctrl-C) kills it with all its children.
    """
    with (
        tempfile.TemporaryFile() as stdin,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        stdin.write(command.stdin.encode("utf-8"))
        stdin.seek(0)

        def start_tree() -> ProcessTree | SandboxedTree:
            argv, environ, folder = command.argv, command.environ, command.folder
            sandbox = mechanism(allow_user=False)
            if command.view is None or not sandbox.name:
                return start(argv, environ, folder, stdin=stdin, stdout=out, stderr=err)
            streams = (stdin.fileno(), out.fileno(), err.fileno())
            return SandboxedTree(
                sandbox, command.view, argv, environ, folder, streams=streams, limits=_BUILD_LIMITS
            )

        tree = CHILDREN.start(start_tree, _kill)
        try:
            code = tree.wait(command.seconds)
        except subprocess.TimeoutExpired:
            _kill(tree)
            detail = f"{Path(command.argv[0]).name} took longer than {command.seconds:g} s"
            raise BuildError(Reason.TIMED_OUT, detail, _text(out) + _text(err)) from None
        except BaseException:
            _kill(tree)
            raise
        finally:
            CHILDREN.remove(tree)
            tree.close()
        return CommandResult(code, _text(out), _text(err), tree.cpu_seconds)


def child_environment(
    scratch: Path, variables: Mapping[str, str], caller: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the variables for an installer: allowed ones of `caller`, then `variables`.

    Home and temporary folder are `scratch`, which must exist.
    """
    caller = os.environ if caller is None else caller
    return {
        **{name: caller[name] for name in _PASSED_VARIABLES if name in caller},
        **dict.fromkeys(("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP"), str(scratch)),
        "PYTHONNOUSERSITE": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "NO_COLOR": "1",
        **proxy_exceptions(caller),
        **variables,
    }


def _kill(tree: ProcessTree | SandboxedTree) -> None:
    tree.kill()
    if isinstance(tree, ProcessTree):
        tree.process.wait()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


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

    All of `root` lies on one file system, for hard links. `notices` are what was found damaged and
    not yet told.
    """

    root: Path
    index_url: str
    offline: bool
    runner: Runner
    seconds: float
    notices: list[str] = dataclasses.field(default_factory=list, compare=False)

    @functools.cached_property
    def manifests(self) -> Manifests:
        """Return the manifests of what is built below `root`."""
        return Manifests(self.root)

    @property
    def copies(self) -> bool:
        """Tell whether environments have copies of the files of the caches, in place of links.

        A cell without a sandbox must not write to what other environments share.
        """
        return not mechanism().name

    def take_notices(self) -> tuple[str, ...]:
        """Return the notices, which are told then."""
        taken = []
        while self.notices:
            taken.append(self.notices.pop(0))
        return tuple(dict.fromkeys(taken))

    def discard_changed(self, folder: Path, *, content: bool = False) -> bool:
        """Remove a folder that is not what was built, with a notice; return whether it is gone.

        With `content` all its files are read. One that has no manifest, as an earlier version made
        it, is removed without a notice. Raises OSError.
        """
        if not folder.exists():
            return True
        change = self.manifests.find_change(folder, content=content)
        if not change:
            return False
        if self.manifests.exists(folder):
            self.notices.append(f"{folder} is not as it was built, and is built again: {change}")
        damaged = folder.with_name(f".part-{secrets.token_hex(4)}-{folder.name[:40]}")
        put_in_place(folder, damaged)
        shutil.rmtree(damaged, ignore_errors=True)
        return True

    def ensure_built(self, folder: Path, make: Callable[[], object]) -> Path:
        """Return a folder, made if it is not there or not as it was made; raise what `make` does.

        Its hard links may have been written through. Raises OSError.
        """
        with self.guard(f"{folder.parent.name}-{folder.name}"[:100]):
            if self.discard_changed(folder):
                make()
                self.manifests.write(folder)
        return folder

    def view_of_build(self, python: Path, readable: Sequence[Path], *writable: Path) -> View:
        """Return what a tool sees that builds sources for an interpreter; make what it writes."""
        for folder in writable:
            folder.mkdir(parents=True, exist_ok=True)
        if not mechanism(allow_user=False).name:
            return View()
        names = (*_CERTIFICATES, *_CA_BUNDLES)
        certificates = [Path(os.environ[name]) for name in names if os.environ.get(name)]
        paths = (*python_paths(python), Path(uv_binary()), *certificates, *readable)
        return View(paths, writable)

    def uv(
        self,
        *arguments: str,
        offline: bool,
        stdin: str = "",
        only_binary: tuple[str, ...] = (),
        view: View | None = None,
    ) -> str:
        """Run uv without this machine's configuration; return its output.

        With a `view` it may build sources, with a cache of its own: their code could change what
        others install.

        Offline uv resolves to an older release where it lacks the metadata of a newer one, with
        exit code 0 and a warning: that raises BuildError(INDEX_UNAVAILABLE).
        """
        variables = {
            "UV_CACHE_DIR": str(self.root / ("uv" if view is None else UV_SOURCES)),
            "UV_DEFAULT_INDEX": self.index_url,
            "UV_HTTP_TIMEOUT": _INDEX_SECONDS,
            "UV_LINK_MODE": "clone" if self.copies or view is not None else "hardlink",
            **({"UV_OFFLINE": "1", "RUST_LOG": "warn"} if offline else {}),
        }
        return self.run(
            [uv_binary(), *arguments, "--quiet"],
            variables,
            stdin=stdin,
            only_binary=only_binary,
            incomplete_warning=_INCOMPLETE_WARNING if offline else "",
            view=view,
        )

    def run(  # noqa: PLR0913 - the parts of a run
        self,
        argv: Sequence[str],
        variables: Mapping[str, str],
        *,
        stdin: str = "",
        only_binary: tuple[str, ...] = (),
        incomplete_warning: str = "",
        view: View | None = None,
    ) -> str:
        """Run a tool in a scratch folder of its own; return its output, or raise BuildError.

        `incomplete_warning` is a text in its standard error that means that it lacked data of the
        index: its result is then refused with INDEX_UNAVAILABLE. `view` is as in `Command`.
        """
        with self.scratch() as folder:
            environ = child_environment(folder, variables)
            if view is not None:
                view = dataclasses.replace(view, writable=(*view.writable, folder))
            try:
                result = self.runner(Command(argv, environ, folder, self.seconds, stdin, view))
            except OSError as error:
                raise from_os_error(error) from error
        TIMINGS.add_cpu(result.cpu_seconds)
        if result.code != 0:
            raise from_log(f"{result.out}\n{result.err}", only_binary)
        if incomplete_warning and incomplete_warning in result.err:
            line = next(line for line in result.err.splitlines() if incomplete_warning in line)
            raise BuildError(Reason.INDEX_UNAVAILABLE, line.strip()[:300], result.err)
        return result.out

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield an empty folder that is removed afterwards."""
        parent = self.root / "scratch"
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent, ignore_cleanup_errors=True) as folder:
            yield Path(folder)

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
