"""Linux only: Landlock, which keeps a process from files where it may not make namespaces.

See landlock(7). The numbers of the system calls are equal on all CPUs.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
from collections.abc import Iterable

if sys.platform != "linux":
    raise ImportError("Linux only: Landlock")

from matrix.system.namespaces import renounce, syscall

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_FIRST_ACCESS = (1 << 13) - 1
# Rights of the second version (links to other folders), the third (truncation), the fifth
# (operations on devices); the sixth keeps signals and abstract sockets within.
_MORE_ACCESS = {2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
_SCOPED = 6
_SCOPES = 0b11
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | (1 << 14) | (1 << 15)
_READ = _EXECUTE | _READ_FILE | _READ_DIR
# Beside what is shown. What /proc has of other processes is refused as tracing them is.
_SYSTEM = ("/proc", "/sys/devices/system/cpu")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_SHARED = "/dev/shm"  # noqa: S108 - the system's own


def version() -> int:
    """Return the version of Landlock; raise OSError where there is none."""
    return syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))


def restrict(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Keep this process, and all that it starts, from everything but these; raise OSError."""
    known = version()
    handled = _FIRST_ACCESS
    for number, right in _MORE_ACCESS.items():
        handled |= right if known >= number else 0
    scoped = _SCOPES if known >= _SCOPED else 0
    rules = struct.pack("QQQ", handled, 0, scoped)[: 24 if scoped else 8]
    renounce()
    ruleset = syscall(_CREATE_RULESET, rules, ctypes.c_size_t(len(rules)), ctypes.c_uint32(0))
    try:
        for paths, access in (
            ((*_SYSTEM, *readable), _READ),
            ((*_DEVICES, _SHARED, *writable), handled),
        ):
            for path in paths:
                with contextlib.suppress(FileNotFoundError):
                    _allow(ruleset, path, access & handled)
        syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, access: int) -> None:
    beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        access &= -1 if os.path.isdir(path) else _OF_FILES
        rule = struct.pack("=Qi", access, beneath)
        syscall(
            _ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0)
        )
    finally:
        os.close(beneath)
