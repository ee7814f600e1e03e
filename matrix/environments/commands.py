"""Commands of installers: limited in time, killed with their children, output captured.

Installers get an allow-list of environment variables, so that neither the caller's secrets nor this
machine's pip and uv settings reach them.
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

_PASSED_VARIABLES = (
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
    # For a proxy that signs certificates itself.
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


@dataclasses.dataclass(frozen=True)
class Command:
    """A command line; `stdin` is its standard input, `seconds` its time limit."""

    argv: Sequence[str]
    environ: Mapping[str, str]
    folder: Path
    seconds: float
    stdin: str = ""


@dataclasses.dataclass(frozen=True)
class CommandResult:
    """Exit code, standard output, and standard error."""

    code: int
    out: str
    err: str


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
        tree = CHILDREN.start(
            lambda: start(
                command.argv, command.environ, command.folder, stdin=stdin, stdout=out, stderr=err
            ),
            _kill,
        )
        try:
            code = tree.process.wait(command.seconds)
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
        return CommandResult(code, _text(out), _text(err))


def check_output(
    runner: Runner,
    command: Command,
    only_binary: tuple[str, ...] = (),
    incomplete_warning: str = "",
) -> str:
    """Return the standard output of a command; raise BuildError where it fails.

    `incomplete_warning` is a text in its standard error that means that it lacked data of the
    index: its result is then refused with INDEX_UNAVAILABLE.
    """
    try:
        result = runner(command)
    except OSError as error:
        raise from_os_error(error) from error
    if result.code != 0:
        raise from_log(f"{result.out}\n{result.err}", only_binary)
    if incomplete_warning and incomplete_warning in result.err:
        line = next(line for line in result.err.splitlines() if incomplete_warning in line)
        raise BuildError(Reason.INDEX_UNAVAILABLE, line.strip()[:300], result.err)
    return result.out


def child_environment(
    scratch: Path, variables: Mapping[str, str], caller: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the variables for an installer: allowed ones of `caller`, then `variables`.

    Home and temporary folder are `scratch`, which must exist.
    """
    caller = os.environ if caller is None else caller
    home = str(scratch)
    return {
        **{name: caller[name] for name in _PASSED_VARIABLES if name in caller},
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
        **variables,
    }


def _kill(tree: ProcessTree) -> None:
    tree.kill()
    tree.process.wait()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")
