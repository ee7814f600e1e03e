"""What a wheel's tags promise: a CPython, an operating system, processors, a C library.

One thing seen in one wheel, before the same thing in other wheels is put together with it.
"""

from __future__ import annotations

import dataclasses
import re

from matrix.features.audit.findings import FindingKind
from matrix.pypi.wheel_contents import WheelContents

__all__ = ["InspectedWheel", "Platform", "PlatformMismatch", "platform_of", "python_of"]

_LINUX = re.compile(
    r"(?P<kind>linux|manylinux1|manylinux20\d\d|manylinux_\d+_\d+|musllinux_\d+_\d+)_"
)
_MACOS = re.compile(r"macosx_\d+_\d+_(?P<cpu>.+)")
_MACHINES = {"arm64": "aarch64", "amd64": "x86_64", "i386": "i686"}
_WINDOWS = {"win32": "i686", "win_amd64": "x86_64", "win_arm64": "aarch64"}
_FAT = {"universal2": ("x86_64", "aarch64"), "intel": ("x86_64", "i686")}
# What `platform.machine()` says there.
_SAYS: dict[str, dict[str, str]] = {
    "elf": {},
    "mach-o": {"aarch64": "arm64"},
    "pe": {"aarch64": "ARM64", "x86_64": "AMD64", "i686": "x86"},
}
_INTERPRETER = re.compile(r"(?:cp|py)(?P<major>\d)(?P<minor>\d*)")


@dataclasses.dataclass(frozen=True)
class Platform:
    """`text` in wheel-tag words (`linux_x86_64 musl`); `format` is that of its native libraries.

    A wheel for several processors must serve all of `machines`.
    """

    text: str
    format: str
    machines: tuple[str, ...]
    libc: str = ""

    def markers(self, python: str) -> dict[str, str]:
        """Return the marker variables of a CPython on it.

        https://packaging.python.org/en/latest/specifications/dependency-specifiers/
        """
        system, name, os_name = {
            "elf": ("Linux", "linux2" if python.startswith("2") else "linux", "posix"),
            "mach-o": ("Darwin", "darwin", "posix"),
            "pe": ("Windows", "win32", "nt"),
        }[self.format]
        machine = _SAYS[self.format].get(self.machines[0], self.machines[0])
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{python}.0",
            "os_name": os_name,
            "platform_machine": machine,
            "platform_python_implementation": "CPython",
            "platform_system": system,
            "python_full_version": f"{python}.0",
            "python_version": python,
            "sys_platform": name,
        }


def python_of(tags: str) -> str:
    """Return `3.9` of `cp39-cp39-...`, the first of several; "" where no minor is named."""
    match = _INTERPRETER.match(tags)
    return f"{match['major']}.{match['minor']}" if match and match["minor"] else ""


def platform_of(tags: str) -> Platform | None:
    """Return the platform of a wheel's tags, None for one that goes anywhere or is not known."""
    for tag in tags.rpartition("-")[2].split("."):
        if tag in _WINDOWS:
            return Platform(tag, "pe", (_WINDOWS[tag],))
        macos = _MACOS.fullmatch(tag)
        if macos:
            cpu = macos["cpu"]
            machines = _FAT.get(cpu, (_MACHINES.get(cpu, cpu),))
            return Platform(f"macosx_{cpu}", "mach-o", machines)
        linux = _LINUX.match(tag)
        if linux:
            cpu = tag[linux.end() :]
            musl = linux["kind"].startswith("musllinux")
            text = f"linux_{cpu} musl" if musl else f"linux_{cpu}"
            return Platform(text, "elf", (cpu,), "musl" if musl else "glibc")
    return None


@dataclasses.dataclass(frozen=True)
class InspectedWheel:
    """A wheel of a release that was looked into; `platform` is None for one that goes anywhere."""

    release: str
    tags: str
    contents: WheelContents

    @property
    def python(self) -> str:
        """Return the CPython it is for, "" where it names no minor version."""
        return python_of(self.tags)

    @property
    def platform(self) -> Platform | None:
        """Return the platform it is for."""
        return platform_of(self.tags)


@dataclasses.dataclass(frozen=True)
class PlatformMismatch:
    """What does not fit in a wheel: `subject` names it, `says` is a clause about it.

    `member` and `line` (1-based, 0 for the file as such) are where it stands.
    """

    kind: FindingKind
    subject: str
    says: str
    member: str = ""
    line: int = 0
