"""One run of another program: bounded in time, ended with all that it started, output kept."""

from __future__ import annotations

import atexit
import dataclasses
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from matrix.environments.failures import BuildError, from_log, from_os_error
from matrix.model.reason import Reason
from matrix.process_trees import Tree

__all__ = ["Command", "Finished", "Runner", "check", "run", "stop_all"]


@dataclasses.dataclass(frozen=True)
class Command:
    """What to run; `given` goes to its standard input, `seconds` is how long it may take."""

    argv: Sequence[str]
    environ: Mapping[str, str]
    folder: Path
    seconds: float
    given: str = ""


@dataclasses.dataclass(frozen=True)
class Finished:
    """Exit code, standard output, and standard error."""

    code: int
    out: str
    err: str


Runner = Callable[[Command], Finished]


_running: set[Tree] = set()
_lock = threading.Lock()


@atexit.register
def stop_all() -> None:
    """End every tool that still runs, as threads that wait for one do not when the program ends."""
    with _lock:
        trees = tuple(_running)
    for tree in trees:
        _kill(tree)


def run(command: Command) -> Finished:
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
        with _lock:  # what is started is known at once to who ends all
            tree = Tree(
                command.argv, command.environ, command.folder, stdin=given, stdout=out, stderr=err
            )
            _running.add(tree)
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
            with _lock:
                _running.discard(tree)
            tree.close()
        return Finished(code, _text(out), _text(err))


def check(
    runner: Runner, command: Command, only_binary: tuple[str, ...] = (), lacking: str = ""
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


def _kill(tree: Tree) -> None:
    tree.kill()
    tree.process.wait()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")
