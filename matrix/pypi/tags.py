"""Wheel tags that a CPython on any target supports, and the tags and versions in file names.

`packaging` computes tags for the interpreter that runs it only. Specifications:
https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/
https://packaging.python.org/en/latest/specifications/binary-distribution-format/#file-name-convention
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

_VERSION = re.compile(r"(?P<name>[A-Za-z]*)\s*(?P<major>\d+)\.(?P<minor>\d+)")
# Newer than any that a wheel needs, for a target whose C library or macOS is not specified.
_NEWEST = {"glibc": (2, 99), "musl": (1, 9), "macos": (26, 0)}
# Minor version of the oldest glibc of manylinux wheels, by CPU.
_OLDEST_GLIBC = {"x86_64": 5, "i686": 5}
_OLDEST_GLIBC_ELSEWHERE = 17
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
# The last CPython 3.x with the letter `m` in its ABI.
_LAST_WITH_M = 7


@functools.lru_cache(maxsize=64)
def supported_tags(python: str, target: str, libc: str = "") -> tuple[Tag, ...]:
    """Return the tags for CPython `3.9` on `linux_x86_64` with `glibc 2.36`, best first.

    `libc` is `glibc X.Y`, `musl X.Y` or, for macOS, `macos X.Y`; "" is the newest glibc or macOS.
    A CPython 2.7 for Linux has wide characters (`cp27mu`), as Debian, the official images and pyenv
    build it.
    """
    version = tuple(int(part) for part in python.split(".")[:2])
    platforms = supported_platforms(target, libc)
    interpreter = f"cp{version[0]}{version[1]}"
    abis = [interpreter + _abi_flags(version, target)]
    return (
        *cpython_tags(version, abis, platforms),
        *compatible_tags(version, interpreter, platforms),
    )


def supported_platforms(target: str, libc: str = "") -> tuple[str, ...]:
    """Return the platform tags of a target, best first; raise ValueError for an invalid `libc`."""
    system, _, cpu = target.partition("_")
    if system == "macosx":
        _, version = _parse_libc(libc or "macos", "macos")
        return tuple(mac_platforms(version, cpu))
    if system != "linux":
        return (target,)
    name, version = _parse_libc(libc or "glibc", "glibc")
    return (target, *(_musl(cpu, version) if name == "musl" else _glibc(cpu, version)))


def _parse_libc(text: str, default: str) -> tuple[str, tuple[int, int]]:
    if text in _NEWEST:
        return text, _NEWEST[text]
    match = _VERSION.match(text)
    if match is None or (match["name"] or default) not in _NEWEST:
        raise ValueError(f"invalid C library or system {text!r} (expected e.g. glibc 2.36)")
    return match["name"] or default, (int(match["major"]), int(match["minor"]))


def _glibc(cpu: str, version: tuple[int, int]) -> Iterator[str]:
    oldest = _OLDEST_GLIBC.get(cpu, _OLDEST_GLIBC_ELSEWHERE)
    for minor in range(version[1], oldest - 1, -1):
        yield f"manylinux_2_{minor}_{cpu}"
        if minor in _LEGACY:
            yield f"{_LEGACY[minor]}_{cpu}"


def _musl(cpu: str, version: tuple[int, int]) -> Iterator[str]:
    for minor in range(version[1], -1, -1):
        yield f"musllinux_{version[0]}_{minor}_{cpu}"


def _abi_flags(version: tuple[int, ...], target: str) -> str:
    if version[0] == 2:  # noqa: PLR2004
        return "mu" if target.startswith("linux") else "m"
    return "m" if version[1] <= _LAST_WITH_M else ""


def is_same_version(version: str | None, expected: str) -> bool:
    """Return whether both are the same release, also in another spelling; None is no release."""
    if version is None:
        return False
    try:
        return Version(version) == Version(expected)
    except InvalidVersion:
        return version == expected


_SOURCE = re.compile(r"(?P<stem>.+?)\.(?:tar\.gz|tar\.bz2|tar\.xz|tgz|zip)\Z", re.IGNORECASE)


def wheel_tags(filename: str) -> str:
    """Return `cp39-cp39-manylinux2014_x86_64` of a wheel's name, "" for anything else."""
    if not filename.endswith(".whl"):
        return ""
    return "-".join(filename[:-4].rsplit("-", 3)[1:])


@functools.lru_cache(maxsize=4096)
def supports_python(interpreters: str, abis: str, python: str) -> bool:
    """Return whether a wheel with these tags is for a CPython, whatever the platform.

    `py37` is for all from 3.7 on; wheels for free-threaded builds only (`cp313t`) do not count.
    """
    own = f"cp{python.replace('.', '')}"
    major, minor = python.split(".")
    threaded_only = set(abis.split(".")) == {f"{own}t"}
    for tag in interpreters.split("."):
        if tag == own and not threaded_only:
            return True
        if tag.startswith(f"py{major}") and _lowest_minor(tag) <= int(minor):
            return True
        if "abi3" in abis.split(".") and tag.startswith("cp3") and major == "3":
            return _lowest_minor(tag) <= int(minor)
    return False


def _lowest_minor(tag: str) -> float:
    """Return the lowest minor of `py37` or `cp37`, 0 for `py3`, infinity for an invalid tag."""
    minor = tag[3:] or "0"
    return int(minor) if minor.isdecimal() else float("inf")


def split_filename(filename: str, project: str) -> str | None:
    """Return the version as the file name spells it, or None.

    None stands for files that are neither a wheel nor a source distribution of `project` (eggs,
    installers, links of a login page), and for versions that are invalid by PEP 440.
    """
    if filename.endswith(".whl"):
        parts = filename[:-4].split("-")
        if len(parts) not in (5, 6):
            return None
        name, version = parts[0], parts[1].replace("_", "+", 1)
        if canonicalize_name(name) != project:
            return None
    else:
        match = _SOURCE.match(filename)
        source_version = _source_version(match["stem"], project) if match else None
        if source_version is None:
            return None
        version = source_version
    try:
        Version(version)
    except InvalidVersion:
        return None
    return version


def _source_version(stem: str, project: str) -> str | None:
    # Names of source distributions may hold dashes themselves: `mysql-connector-python-8.0.1`.
    for match in re.finditer("-", stem):
        if canonicalize_name(stem[: match.start()]) == project:
            return stem[match.end() :]
    return None
