"""A candidate is asked what it is by running it: a name or a path proves nothing.

From what an interpreter answers to the `Interpreter` it is, or to why it does not count.

Answers remembered on disk, by path, mtime and size: asking nine interpreters takes a second.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import struct
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matrix.model.environment import Interpreter

__all__ = [
    "InterpreterQuery",
    "InterpreterCache",
    "NotAnInterpreterError",
    "query_interpreter",
    "build_interpreter",
    "own_target",
    "target_name",
    "why_excluded",
]

InterpreterAnswer = dict[str, Any]
InterpreterQuery = Callable[[Path], InterpreterAnswer]

_SECONDS = 10.0
_PASSED = (
    "PATH",
    "LANG",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    # Without these Windows starts little, and does not know its CPU.
    "SYSTEMROOT",
    "TEMP",
    "PROCESSOR_ARCHITECTURE",
    "PROCESSOR_ARCHITEW6432",
)

# Runs on 2.7 to 3.14. `-S` and an empty first path entry keep other people's code out of it.
_QUESTION = r"""
import sys
sys.path[:] = [p for p in sys.path if p]
import json, os, platform, struct, sysconfig
def libc():
    try:
        return os.confstr(2)  # CS_GNU_LIBC_VERSION, which 2.7 knows by number only
    except (AttributeError, ValueError, OSError):
        return "musl" if "musl" in (sysconfig.get_config_var("SOABI") or "") else ""
sys.stdout.write("\n" + json.dumps({
    "implementation": platform.python_implementation(),
    "version": platform.python_version().rstrip("+"),
    "build": sys.version,
    "platform": sysconfig.get_platform(),
    "machine": platform.machine(),
    "bits": 8 * struct.calcsize("P"),
    "libc": libc() or "",
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
}) + "\n")
"""


class NotAnInterpreterError(Exception):
    """A candidate that is not there, broken, or does not answer in time; the text says which."""


def query_interpreter(executable: Path, seconds: float = _SECONDS) -> InterpreterAnswer:
    """Return what `executable` says of itself; raise CannotTellError where it says nothing."""
    environ = {name: value for name in _PASSED if (value := os.environ.get(name))}
    command = [str(executable), "-E", "-s", "-S", "-c", _QUESTION]
    try:
        said = subprocess.run(
            command,
            capture_output=True,
            check=False,
            env=environ,
            stdin=subprocess.DEVNULL,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise NotAnInterpreterError(f"did not answer within {seconds:g} s") from None
    except OSError as error:
        raise NotAnInterpreterError(error.strerror or str(error)) from error
    try:
        answer = json.loads(said.stdout.decode("utf-8").splitlines()[-1])
    except (IndexError, ValueError):
        lines = said.stderr.decode("utf-8", "replace").strip().splitlines()
        last = lines[-1] if lines else "no output"
        raise NotAnInterpreterError(f"exit code {said.returncode}: {last}") from None
    if not isinstance(answer, dict):
        raise NotAnInterpreterError("answered with something else than its identity")
    return answer


_OLDEST_3 = (3, 5)
_NARROW = {"x86_64": "i686", "amd64": "i686", "aarch64": "armv8l", "arm64": "armv8l"}
_BITS_32 = 32


def why_excluded(answer: Mapping[str, Any]) -> str | None:
    """Return why the interpreter is none that the documents speak of, or None where it is."""
    if answer["implementation"] != "CPython":
        return f"is {answer['implementation']}, not CPython"
    if answer["free_threaded"]:
        return "is a free-threaded build"
    major, minor = (int(part) for part in answer["version"].split(".")[:2])
    if (major, minor) != (2, 7) and (major, minor) < _OLDEST_3:
        return f"is CPython {answer['version']}, older than any that counts here"
    return None


def own_target() -> str:
    """Return what the interpreter is that runs this."""
    return target_name(sysconfig.get_platform(), platform.machine(), 8 * struct.calcsize("P"))


def target_name(told: str, machine: str, bits: int) -> str:
    """Return OS and CPU in wheel-tag words, from `sysconfig.get_platform()` and friends.

    A 32-bit interpreter under a 64-bit kernel says `linux-x86_64`: the pointer size decides. One
    for both CPUs of macOS says `universal2`: the machine does, which is `x86_64` under Rosetta.
    """
    system, _, rest = told.partition("-")
    if system == "macosx":
        return f"macosx_{machine}"
    if system.startswith("win"):
        return told.replace("-", "_")
    cpu = rest.replace("-", "_")
    if bits == _BITS_32:
        cpu = _NARROW.get(cpu, cpu)
    return f"{system}_{cpu}"


def build_interpreter(executable: Path, source: str, answer: Mapping[str, Any]) -> Interpreter:
    """Return the interpreter that gave `answer`."""
    return Interpreter(
        executable=executable,
        version=answer["version"],
        build=answer["build"],
        target=target_name(answer["platform"], answer["machine"], answer["bits"]),
        libc=answer["libc"],
        source=source,
    )


_VERSION = 1
# A broken candidate may have been repaired without a change of its file: a library, a busy moment.
_BROKEN_SECONDS = 3600.0


class InterpreterCache:
    """Answers by candidate. A file that cannot be read or written costs time, nothing else."""

    def __init__(
        self, file: Path | None, asked_by: str = "", clock: Callable[[], float] = time.time
    ) -> None:
        """`asked_by` is the target of who asks: one file may be two interpreters, see Rosetta."""
        self._file = file
        self._asked_by = asked_by
        self._clock = clock
        self._entries: dict[str, dict[str, Any]] = {}
        self._changed = False
        if file is None:
            return
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            data = json.loads(file.read_text("utf-8"))
            if data["version"] == _VERSION:
                self._entries = dict(data["entries"])

    def ask(self, executable: Path, asker: InterpreterQuery) -> InterpreterAnswer:
        """Return the answer, from memory where the file is as it was; raise as `asker` does."""
        try:
            status = executable.stat()
        except OSError as error:
            raise NotAnInterpreterError(error.strerror or str(error)) from error
        stamp = [status.st_mtime_ns, status.st_size, self._asked_by]
        entry = self._entries.get(str(executable))
        if entry and entry["stamp"] == stamp:
            if "answer" in entry:
                answer: InterpreterAnswer = entry["answer"]
                return answer
            if 0 <= self._clock() - entry["at"] < _BROKEN_SECONDS:
                raise NotAnInterpreterError(entry["problem"])
        self._changed = True
        try:
            answer = asker(executable)
        except NotAnInterpreterError as error:
            self._entries[str(executable)] = {
                "stamp": stamp,
                "problem": str(error),
                "at": self._clock(),
            }
            raise
        self._entries[str(executable)] = {"stamp": stamp, "answer": answer}
        return answer

    def save(self) -> None:
        """Write what is new, whole or not at all."""
        if self._file is None or not self._changed:
            return
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._file.parent, prefix=".interpreters-")
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump({"version": _VERSION, "entries": self._entries}, stream, indent=1)
            os.replace(name, self._file)  # noqa: PTH105 - `name` is a string
