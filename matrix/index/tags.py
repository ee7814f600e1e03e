"""The wheel tags that a CPython on a target takes, the best first.

`packaging` computes them for the interpreter that runs it; here they are for any other. Which
platforms there are: https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms

__all__ = ["platforms_of", "tags_of"]

_VERSION = re.compile(r"(?P<name>[A-Za-z]*)\s*(?P<major>\d+)\.(?P<minor>\d+)")
# Newer than any that a wheel asks for: what is meant where a target's C library or macOS is open.
_NEWEST = {"glibc": (2, 99), "musl": (1, 9), "macos": (26, 0)}
# CPU to the oldest glibc that a manylinux wheel for it may ask for.
_OLDEST_GLIBC = {"x86_64": 5, "i686": 5}
_OLDEST_GLIBC_ELSEWHERE = 17
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
# The last CPython 3 with the letter `m` in its ABI.
_LAST_WITH_M = 7


@functools.lru_cache(maxsize=64)
def tags_of(python: str, target: str, libc: str = "", abi: str = "") -> tuple[Tag, ...]:
    """Return the tags for CPython `3.9` on `linux_x86_64` with `glibc 2.36`, best first.

    `libc` is `glibc X.Y`, `musl X.Y` or, for macOS, `macos X.Y`; "" is the newest glibc or macOS.
    `abi` is the interpreter's own one where it is not the usual: a CPython 2.7 for Linux is taken
    for one of wide characters (`cp27mu`), as Debian, the official images and pyenv build it.
    """
    version = tuple(int(part) for part in python.split(".")[:2])
    platforms = platforms_of(target, libc)
    interpreter = f"cp{version[0]}{version[1]}"
    abis = [abi or interpreter + _flags(version, target)]
    return (
        *cpython_tags(version, abis, platforms),
        *compatible_tags(version, interpreter, platforms),
    )


def platforms_of(target: str, libc: str = "") -> tuple[str, ...]:
    """Return the platform tags of a target, best first; raise ValueError for an odd `libc`."""
    system, _, cpu = target.partition("_")
    if system == "macosx":
        _, version = _parse(libc or "macos", "macos")
        return tuple(mac_platforms(version, cpu))
    if system != "linux":
        return (target,)
    name, version = _parse(libc or "glibc", "glibc")
    return (target, *(_musl(cpu, version) if name == "musl" else _glibc(cpu, version)))


def _parse(text: str, usual: str) -> tuple[str, tuple[int, int]]:
    if text in _NEWEST:
        return text, _NEWEST[text]
    match = _VERSION.match(text)
    if match is None or (match["name"] or usual) not in _NEWEST:
        raise ValueError(f"not a C library or system with its version: {text!r}")
    return match["name"] or usual, (int(match["major"]), int(match["minor"]))


def _glibc(cpu: str, version: tuple[int, int]) -> Iterator[str]:
    oldest = _OLDEST_GLIBC.get(cpu, _OLDEST_GLIBC_ELSEWHERE)
    for minor in range(version[1], oldest - 1, -1):
        yield f"manylinux_2_{minor}_{cpu}"
        if minor in _LEGACY:
            yield f"{_LEGACY[minor]}_{cpu}"


def _musl(cpu: str, version: tuple[int, int]) -> Iterator[str]:
    for minor in range(version[1], -1, -1):
        yield f"musllinux_{version[0]}_{minor}_{cpu}"


def _flags(version: tuple[int, ...], target: str) -> str:
    if version[0] == 2:  # noqa: PLR2004
        return "mu" if target.startswith("linux") else "m"
    return "m" if version[1] <= _LAST_WITH_M else ""
