"""From what an interpreter answers to the `Interpreter` it is, or to why it does not count."""

from __future__ import annotations

import platform
import struct
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matrix.model.environment import Interpreter

__all__ = ["interpreter_from", "own_target", "target_of", "why_not"]

_OLDEST_3 = (3, 5)
_NARROW = {"x86_64": "i686", "amd64": "i686", "aarch64": "armv8l", "arm64": "armv8l"}
_BITS_32 = 32


def why_not(answer: Mapping[str, Any]) -> str | None:
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
    return target_of(sysconfig.get_platform(), platform.machine(), 8 * struct.calcsize("P"))


def target_of(told: str, machine: str, bits: int) -> str:
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


def interpreter_from(executable: Path, source: str, answer: Mapping[str, Any]) -> Interpreter:
    """Return the interpreter that gave `answer`."""
    return Interpreter(
        executable=executable,
        version=answer["version"],
        build=answer["build"],
        target=target_of(answer["platform"], answer["machine"], answer["bits"]),
        libc=answer["libc"],
        source=source,
    )
