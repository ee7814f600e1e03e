"""Run mmdebstrap, which unpacks Debian's packages, in a folder of its own; explain its errors."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from matrix.docker.images.interface import ImageError
from matrix.model.reason import Reason
from matrix.system.files import is_disk_full
from matrix.system.processes import CHILDREN, ProcessTree

LINUX_ONLY = "images of Debian's packages can be built on Linux only"
"""The reason why no image is built elsewhere."""

_GRACE_SECONDS = 10.0
"""Time to remove mounts and folders after SIGTERM."""
_MAX_ERROR_BYTES = 256 * 1024
_PREFIX = "compat-matrix-image-"
_LOCK = "lock"
_YOUNG_SECONDS = 60.0
"""Longest time between the creation of a folder and the acquisition of its lock."""
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_PASSED_VARIABLES = ("PATH", "HOME", "USER", "LOGNAME", *_PROXIES)


@dataclasses.dataclass(frozen=True)
class BuildCommand:
    """A command line that runs in the folder `scratch` with its standard output in `out`.

    It is killed after `seconds`, and inherits the file descriptor `keep`.
    """

    argv: Sequence[str]
    out: Path
    scratch: Path
    seconds: float
    keep: int


@dataclasses.dataclass(frozen=True)
class BuildOutput:
    """Exit code and the end of standard error."""

    code: int
    err: str


Tool = Callable[[BuildCommand], BuildOutput]


@dataclasses.dataclass(frozen=True)
class BuildFolder:
    """A `folder` to work in, which is not swept while a process has `lock`, a file descriptor.

    Programs that work in it should inherit it: they may outlive this process.
    """

    folder: Path
    lock: int


@contextlib.contextmanager
def open_build_folder(parent: Path | None = None) -> Iterator[BuildFolder]:
    """Yield a new folder in `parent` (default: the system's folder for temporary files, $TMPDIR).

    It is removed after use; first those of killed runs are removed. An OSError in the block becomes
    an ImageError. Raises ImageError on Windows.
    """
    if sys.platform == "win32":  # the folder is locked by flock(2)
        raise ImageError(Reason.NO_IMAGE, LINUX_ONLY)
    import fcntl  # noqa: PLC0415 - POSIX

    parent = parent or Path(tempfile.gettempdir())
    try:
        _sweep(parent)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        # In a user namespace of its own the tool is another user, and must get through.
        folder.chmod(0o711)
        lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield BuildFolder(folder, lock)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
    except OSError as error:
        raise _image_error(error) from error


def _sweep(parent: Path) -> None:
    if sys.platform == "win32":
        return
    import fcntl  # noqa: PLC0415 - POSIX

    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # of another user, or locked by a living run
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
                continue
            try:
                lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
            except FileNotFoundError:
                if time.time() - status.st_mtime > _YOUNG_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def run_tool(command: BuildCommand) -> BuildOutput:
    """Run a command to its end; raise ImageError where it takes too long or cannot be started.

    The program and its children end with this call, however that ends.
    """
    with tempfile.TemporaryFile() as err:
        try:
            with command.out.open("wb") as out:
                tree = CHILDREN.start(
                    lambda: ProcessTree(
                        command.argv,
                        build_environment(os.environ, command.scratch),
                        command.scratch,
                        stdin=subprocess.DEVNULL,
                        stdout=out,
                        stderr=err,
                        pass_fds=(command.keep,),
                    ),
                    _end,
                )
        except OSError as error:
            raise _image_error(error) from error
        try:
            code = tree.process.wait(command.seconds)
        except subprocess.TimeoutExpired:
            detail = f"{Path(command.argv[0]).name} took longer than {command.seconds:g} s"
            raise ImageError(Reason.NO_IMAGE, detail) from None
        finally:
            _end(tree)
            tree.close()
            CHILDREN.remove(tree)
        size = err.seek(0, os.SEEK_END)
        err.seek(max(0, size - _MAX_ERROR_BYTES))
        return BuildOutput(code, err.read().decode("utf-8", "replace"))


def build_environment(outer: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """Return the environment variables of the tool."""
    passed = {name: outer[name] for name in _PASSED_VARIABLES if outer.get(name)}
    path = [*passed.get("PATH", os.defpath).split(os.pathsep), "/usr/sbin", "/sbin"]
    return {**passed, "PATH": os.pathsep.join(path), "TMPDIR": str(scratch), "LC_ALL": "C.UTF-8"}


def build_error(output: BuildOutput) -> ImageError:
    """Return the error of the one relevant line of the output."""
    lines = [line.strip() for line in output.err.splitlines()]
    full = next((line for line in lines if os.strerror(errno.ENOSPC) in line), "")
    if full:
        return ImageError(Reason.DISK_FULL, full)
    errors = [line.removeprefix("E:").strip() for line in lines if line.startswith("E:")]
    last = [line for line in lines if line][-1:]
    message = (errors or last or ["no output"])[0]
    return ImageError(Reason.NO_IMAGE, f"exit code {output.code}: {message}")


def _image_error(error: OSError) -> ImageError:
    reason = Reason.DISK_FULL if is_disk_full(error) else Reason.NO_IMAGE
    return ImageError(reason, str(error))


def _end(tree: ProcessTree) -> None:
    for stop, seconds in ((tree.terminate, _GRACE_SECONDS), (tree.kill, None)):
        if tree.process.poll() is not None:
            break
        stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            tree.process.wait(seconds)
    tree.kill_rest()
