"""A candidate is asked what it is by running it: a name or a path proves nothing."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["Asker", "CannotTellError", "ask"]

Answer = dict[str, Any]
Asker = Callable[[Path], Answer]

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


class CannotTellError(Exception):
    """A candidate that is not there, broken, or does not answer in time; the text says which."""


def ask(executable: Path, seconds: float = _SECONDS) -> Answer:
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
        raise CannotTellError(f"did not answer within {seconds:g} s") from None
    except OSError as error:
        raise CannotTellError(error.strerror or str(error)) from error
    try:
        answer = json.loads(said.stdout.decode("utf-8").splitlines()[-1])
    except (IndexError, ValueError):
        lines = said.stderr.decode("utf-8", "replace").strip().splitlines()
        last = lines[-1] if lines else "no output"
        raise CannotTellError(f"exit code {said.returncode}: {last}") from None
    if not isinstance(answer, dict):
        raise CannotTellError("answered with something else than its identity")
    return answer
