"""The program that unpacks Debian's packages: how it is run, and what its complaints mean."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from matrix.docker.images.source import ImageError
from matrix.model.reason import Reason
from matrix.system.atomic import is_disk_full
from matrix.system.processes import CHILDREN, ProcessTree

__all__ = [
    "BuildCommand",
    "BuildFolder",
    "BuildOutput",
    "Tool",
    "build_error",
    "build_environment",
    "run_tool",
]

# What it may take to let go of mounts and folders when it is told to end.
_GRACE_SECONDS = 10.0
_KEPT_BYTES = 256 * 1024
_PASSED_ON = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
)


@dataclasses.dataclass(frozen=True)
class BuildCommand:
    """A command line; what it writes goes to `out`, and it works in `scratch`.

    `seconds` is how long it may take; `keep` is a file descriptor that it holds while it lives.
    """

    argv: Sequence[str]
    out: Path
    scratch: Path
    seconds: float
    keep: int


@dataclasses.dataclass(frozen=True)
class BuildOutput:
    """Exit code and what came on standard error."""

    code: int
    err: str


Tool = Callable[[BuildCommand], BuildOutput]


@dataclasses.dataclass(frozen=True)
class BuildFolder:
    """`folder` to work in. Whoever holds `lock` (a file descriptor) keeps it from being swept.

    Programs that work in it should hold it too: they may outlive us.
    """

    folder: Path
    lock: int


def run_tool(job: BuildCommand) -> BuildOutput:
    """Run to the end; raise ImageError where it takes too long or cannot be started.

    Whatever ends this call also ends the program and what it started.
    """
    with tempfile.TemporaryFile() as err:
        try:
            with job.out.open("wb") as out:
                tree = CHILDREN.start(
                    lambda: ProcessTree(
                        job.argv,
                        build_environment(os.environ, job.scratch),
                        job.scratch,
                        stdin=subprocess.DEVNULL,
                        stdout=out,
                        stderr=err,
                        keep=(job.keep,),
                    ),
                    _end,
                )
        except OSError as error:
            raise image_error_from(error) from error
        try:
            code = tree.process.wait(job.seconds)
        except subprocess.TimeoutExpired:
            said = f"{Path(job.argv[0]).name} took longer than {job.seconds:g} s"
            raise ImageError(Reason.NO_IMAGE, said) from None
        finally:
            _end(tree)
            tree.close()
            CHILDREN.remove(tree)
        size = err.seek(0, os.SEEK_END)
        err.seek(max(0, size - _KEPT_BYTES))
        return BuildOutput(code, err.read().decode("utf-8", "replace"))


def build_environment(outer: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """Return what the tool may know of our environment."""
    kept = {name: outer[name] for name in _PASSED_ON if outer.get(name)}
    path = [*kept.get("PATH", os.defpath).split(os.pathsep), "/usr/sbin", "/sbin"]
    return {**kept, "PATH": os.pathsep.join(path), "TMPDIR": str(scratch), "LC_ALL": "C.UTF-8"}


def build_error(finished: BuildOutput) -> ImageError:
    """Return the error that the one relevant line of the output tells of."""
    lines = [line.strip() for line in finished.err.splitlines()]
    full = next((line for line in lines if os.strerror(errno.ENOSPC) in line), "")
    if full:
        return ImageError(Reason.DISK_FULL, full)
    errors = [line.removeprefix("E:").strip() for line in lines if line.startswith("E:")]
    last = [line for line in lines if line][-1:]
    said = (errors or last or ["it said nothing"])[0]
    return ImageError(Reason.NO_IMAGE, f"exit code {finished.code}: {said}")


def image_error_from(error: OSError) -> ImageError:
    """Return what a failure of the operating system means for an image."""
    reason = Reason.DISK_FULL if is_disk_full(error) else Reason.NO_IMAGE
    return ImageError(reason, str(error))


def _end(tree: ProcessTree) -> None:
    for ask, seconds in ((tree.terminate, _GRACE_SECONDS), (tree.kill, None)):
        if tree.process.poll() is not None:
            break
        ask()
        with contextlib.suppress(subprocess.TimeoutExpired):
            tree.process.wait(seconds)
    tree.kill_rest()
