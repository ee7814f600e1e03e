"""Targets (`<os>_<cpu>` in wheel-tag words) of claims, of this machine and of wheels."""

from __future__ import annotations

import functools
import re

from matrix.model.claim import Claim

_WINDOWS = {"x86_64": "win_amd64", "amd64": "win_amd64", "x86": "win32", "i686": "win32"}
# Other targets that a machine runs at full speed, with their own interpreters.
_COMPATIBLE = {"win_amd64": ("win32",)}
# Prefixes of the targets of each operating system.
_SYSTEMS = {"linux": "linux", "macos": "macosx", "windows": "win"}
_GLIBC = re.compile(r"(?:linux|manylinux1|manylinux2010|manylinux2014|manylinux_2_\d+)_(?P<cpu>.+)")
_MACOS = re.compile(r"macosx_\d+_\d+_(?P<cpu>.+)")
# https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/
_FAT = {"universal2": {"x86_64", "arm64"}, "intel": {"x86_64"}}


def compatible_targets(target: str) -> tuple[str, ...]:
    """Return the other targets that a machine of `target` runs natively."""
    return _COMPATIBLE.get(target, ())


def claimed_target(claim: Claim) -> str | None:
    """Return the target that a claim's `os` and `cpu` name, one of them as written if it is alone.

    None where it names neither.
    """
    system, cpu = claim.get("os"), claim.get("cpu")
    return _target(system, cpu) if system and cpu else system or cpu


def covers_target(claim: Claim, target: str) -> bool:
    """Return whether a claim covers a target; an `os` or `cpu` that it does not name is any."""
    system, cpu = claim.get("os"), claim.get("cpu")
    if cpu:
        return target in {_target(name, cpu) for name in ([system] if system else _SYSTEMS)}
    return not system or target.startswith(_SYSTEMS.get(system, system))


def _target(system: str, cpu: str) -> str:
    if system == "windows":
        return _WINDOWS.get(cpu, f"win_{cpu}")
    return f"{_SYSTEMS.get(system, system)}_{cpu}"


@functools.lru_cache(maxsize=4096)
def wheel_fits(platform_tags: str, target: str) -> bool:
    """Return whether a wheel with these platform tags (`a.b`) installs on `target`.

    On Linux any glibc platform counts, however new: the C library of a machine is only known when
    a cell is built there. A musllinux wheel does not count.
    """
    system, _, cpu = target.partition("_")
    for tag in platform_tags.split("."):
        if tag in ("any", target):
            return True
        if system == "linux":
            match = _GLIBC.fullmatch(tag)
            if match and match["cpu"] == cpu:
                return True
        elif system == "macosx":
            match = _MACOS.fullmatch(tag)
            if match and (match["cpu"] == cpu or cpu in _FAT.get(match["cpu"], ())):
                return True
    return False
