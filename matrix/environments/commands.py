"""One run of another program: bounded in time, ended with all that it started, output kept.

The variables that installers get: an allow-list, so that neither the caller's secrets nor this
machine's own pip and uv settings reach them.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from matrix.environments.errors import BuildError, from_log, from_os_error
from matrix.model.reason import Reason
from matrix.system.processes import CHILDREN, ProcessTree

__all__ = [
    "CommandResult",
    "Runner",
    "RunningCommand",
    "check",
    "child_environment",
    "run",
]


@dataclasses.dataclass(frozen=True)
class RunningCommand:
    """What to run; `given` goes to its standard input, `seconds` is how long it may take."""

    argv: Sequence[str]
    environ: Mapping[str, str]
    folder: Path
    seconds: float
    given: str = ""


@dataclasses.dataclass(frozen=True)
class CommandResult:
    """Exit code, standard output, and standard error."""

    code: int
    out: str
    err: str


Runner = Callable[[RunningCommand], CommandResult]


def run(command: RunningCommand) -> CommandResult:
    """Run to the end; raise BuildError(TIMED_OUT) where it takes too long.

    Whatever ends this call (an exception, Ctrl-C) also ends all that it has started.
    """
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        given.write(command.given.encode("utf-8"))
        given.seek(0)
        tree = CHILDREN.start(
            lambda: ProcessTree(
                command.argv, command.environ, command.folder, stdin=given, stdout=out, stderr=err
            ),
            _kill,
        )
        try:
            code = tree.process.wait(command.seconds)
        except subprocess.TimeoutExpired:
            _kill(tree)
            said = f"{Path(command.argv[0]).name} took longer than {command.seconds:g} s"
            raise BuildError(Reason.TIMED_OUT, said, _text(out) + _text(err)) from None
        except BaseException:
            _kill(tree)
            raise
        finally:
            CHILDREN.remove(tree)
            tree.close()
        return CommandResult(code, _text(out), _text(err))


def check(
    runner: Runner, command: RunningCommand, only_binary: tuple[str, ...] = (), lacking: str = ""
) -> str:
    """Return what the command prints; raise the BuildError that its output tells of.

    Where it says `lacking`, it did not have what the index has, and its answer is none.
    """
    try:
        finished = runner(command)
    except OSError as error:
        raise from_os_error(error) from error
    if finished.code != 0:
        raise from_log(f"{finished.out}\n{finished.err}", only_binary)
    if lacking and lacking in finished.err:
        said = next(line for line in finished.err.splitlines() if lacking in line)
        raise BuildError(Reason.INDEX_UNAVAILABLE, said.strip()[:300], finished.err)
    return finished.out


def _kill(tree: ProcessTree) -> None:
    tree.kill()
    tree.process.wait()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


_PASSED = (
    "PATH",
    "LANG",
    "LC_ALL",
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "COMSPEC",
    "PATHEXT",
    "NUMBER_OF_PROCESSORS",
    "PROCESSOR_ARCHITECTURE",
    # Compilers, for source distributions.
    "CC",
    "CXX",
    "CFLAGS",
    "LDFLAGS",
    "SDKROOT",
    # Where certificates are re-signed by a proxy.
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
)


def child_environment(
    scratch: Path, own: Mapping[str, str], caller: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the variables for an installer: allowed ones of `caller`, then `own`.

    Home and temporary folder are `scratch`, which must exist.
    """
    caller = os.environ if caller is None else caller
    home = str(scratch)
    return {
        **{name: caller[name] for name in _PASSED if name in caller},
        "HOME": home,
        "USERPROFILE": home,
        "TMPDIR": home,
        "TEMP": home,
        "TMP": home,
        "PYTHONNOUSERSITE": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "NO_COLOR": "1",
        **own,
    }
