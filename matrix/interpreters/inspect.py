"""Interpreter candidates identified by running them, with a cache of their answers.

A name or a path proves nothing about an executable. Answers are cached on disk by path, mtime and
size: running nine interpreters takes a second.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import struct
import subprocess
import sysconfig
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matrix.model.environment import Interpreter
from matrix.system.files import write_atomic
from matrix.system.stamps import stamp, unstamp

InterpreterAnswer = dict[str, Any]
InterpreterQuery = Callable[[Path], InterpreterAnswer]

_TIMEOUT_SECONDS = 10.0
# Without these Windows starts little, and does not know its CPU.
_WINDOWS = ("SYSTEMROOT", "TEMP", "PROCESSOR_ARCHITECTURE", "PROCESSOR_ARCHITEW6432")
_PASSED_VARIABLES = ("PATH", "LANG", "TMPDIR", "LD_LIBRARY_PATH", *_WINDOWS)

# Runs on 2.7 to 3.14. `-S` and an empty first path entry keep other people's code out of it.
_SCRIPT = r"""
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
    """A candidate that is missing, broken, or does not answer in time; the text says which."""


def query_interpreter(executable: Path, seconds: float = _TIMEOUT_SECONDS) -> InterpreterAnswer:
    """Return the identity that `executable` reports; raise NotAnInterpreterError without one."""
    environ = {name: value for name in _PASSED_VARIABLES if (value := os.environ.get(name))}
    command = [str(executable), "-E", "-s", "-S", "-c", _SCRIPT]
    try:
        process = subprocess.run(
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
        answer = json.loads(process.stdout.decode("utf-8").splitlines()[-1])
    except (IndexError, ValueError):
        lines = process.stderr.decode("utf-8", "replace").strip().splitlines()
        last = lines[-1] if lines else "no output"
        raise NotAnInterpreterError(f"exit code {process.returncode}: {last}") from None
    if not isinstance(answer, dict):
        raise NotAnInterpreterError("its answer is not a JSON object")
    return answer


_OLDEST_3 = (3, 5)
_CPU_OF_32_BITS = {"x86_64": "i686", "amd64": "i686", "aarch64": "armv8l", "arm64": "armv8l"}
_BITS_32 = 32


def is_covered(answer: Mapping[str, Any]) -> bool:
    """Return whether documents cover the interpreter: CPython 2.7 or from 3.5 on, with the GIL."""
    version = tuple(int(part) for part in answer["version"].split(".")[:2])
    return (
        answer["implementation"] == "CPython"
        and not answer["free_threaded"]
        and (version == (2, 7) or version >= _OLDEST_3)
    )


def host_target() -> str:
    """Return this machine's target: that of the Python that runs this.

    A 32-bit Python does not run cells of 64 bits, nor does one under Rosetta run those of arm64.
    """
    return target_name(sysconfig.get_platform(), platform.machine(), 8 * struct.calcsize("P"))


def target_name(sysconfig_platform: str, machine: str, bits: int) -> str:
    """Return OS and CPU in wheel-tag words, from `sysconfig.get_platform()` and friends.

    A 32-bit interpreter under a 64-bit kernel reports `linux-x86_64`: the pointer size decides. One
    for both CPUs of macOS reports `universal2`: the machine decides, `x86_64` under Rosetta.
    """
    system, _, cpu = sysconfig_platform.partition("-")
    if system == "macosx":
        return f"macosx_{machine}"
    if system.startswith("win"):
        return sysconfig_platform.replace("-", "_")
    cpu = cpu.replace("-", "_")
    if bits == _BITS_32:
        cpu = _CPU_OF_32_BITS.get(cpu, cpu)
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


def is_answer(answer: object) -> bool:
    """Return whether it has all that `build_interpreter` reads, of the right types."""
    return isinstance(answer, dict) and all(
        type(answer.get(name)) is kind for name, kind in _FIELDS.items()
    )


_FIELDS = {
    **dict.fromkeys(("implementation", "version", "build", "platform", "machine", "libc"), str),
    "bits": int,
    "free_threaded": bool,
}


def _is_entry(entry: object) -> bool:
    return isinstance(entry, dict) and (
        is_answer(entry["answer"])
        if "answer" in entry
        else isinstance(entry.get("problem"), str) and isinstance(entry.get("at"), (int, float))
    )


_VERSION = 1
# A broken candidate may have been repaired without a change of its file: a library, a busy moment.
_BROKEN_SECONDS = 3600.0


class InterpreterCache:
    """Answers by candidate, in a JSON file; one that cannot be read or written only costs time."""

    def __init__(
        self, file: Path | None, target: str = "", clock: Callable[[], float] = time.time
    ) -> None:
        """`target` is that of this process: under Rosetta one file is another interpreter."""
        self._file = file
        self._target = target
        self._clock = clock
        self._entries: dict[str, dict[str, Any]] = {}
        self._changed = False
        self.problem = ""
        """Why the file is not used although it is there."""
        if file is None:
            return
        try:
            data = json.loads(unstamp(file.read_bytes()))
            if isinstance(data, dict) and data["version"] == _VERSION:
                entries = data["entries"].items()
                self._entries = {path: entry for path, entry in entries if _is_entry(entry)}
                if len(self._entries) < len(entries):
                    self.problem = f"{file} has entries that are not used, and are asked again"
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            self.problem = f"{file} is not used, and all interpreters are asked again: {error}"

    def query(self, executable: Path, query: InterpreterQuery) -> InterpreterAnswer:
        """Return the answer, from the cache while the file is unchanged; raise as `query` does."""
        try:
            status = executable.stat()
        except OSError as error:
            raise NotAnInterpreterError(error.strerror or str(error)) from error
        stamp = [status.st_mtime_ns, status.st_size, self._target]
        entry = self._entries.get(str(executable))
        if entry and entry.get("stamp") == stamp:
            if "answer" in entry:
                answer: InterpreterAnswer = entry["answer"]
                return answer
            if 0 <= self._clock() - entry["at"] < _BROKEN_SECONDS:
                raise NotAnInterpreterError(entry["problem"])
        self._changed = True
        try:
            answer = query(executable)
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
        """Write the file where an answer is new."""
        if self._file is None or not self._changed:
            return
        data = {"version": _VERSION, "entries": self._entries}
        with contextlib.suppress(OSError):
            write_atomic(self._file, stamp(json.dumps(data, indent=1)))
