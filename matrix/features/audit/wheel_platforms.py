"""Wheels to inspect: their CPython and platform, their selection, and a problem in one."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from packaging.version import Version

from matrix.features.audit.findings import FindingKind
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.index import File, Project
from matrix.pypi.releases import Releases, lowest_named, python_key
from matrix.pypi.wheel_contents import WheelContents

_LINUX = re.compile(
    r"(?P<kind>linux|manylinux1|manylinux20\d\d|manylinux_\d+_\d+|musllinux_\d+_\d+)_"
)
_MACOS = re.compile(r"macosx_\d+_\d+_(?P<cpu>.+)")
_MACHINES = {"arm64": "aarch64", "amd64": "x86_64", "i386": "i686"}
_WINDOWS = {"win32": "i686", "win_amd64": "x86_64", "win_arm64": "aarch64"}
_FAT = {"universal2": ("x86_64", "aarch64"), "intel": ("x86_64", "i686")}
# By format of native libraries: the values of `platform.system()`, `sys.platform` and `os.name`,
# and those of `platform.machine()` that differ.
_SYSTEMS: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "elf": ("Linux", "linux", "posix", {}),
    "mach-o": ("Darwin", "darwin", "posix", {"aarch64": "arm64"}),
    "pe": ("Windows", "win32", "nt", {"aarch64": "ARM64", "x86_64": "AMD64", "i686": "x86"}),
}
_ENDS = 2
_INTERPRETER = re.compile(r"(?:cp|py)(?P<major>\d)(?P<minor>\d*)")


@dataclasses.dataclass(frozen=True)
class WheelPlatform:
    """The platform of a wheel: its name (`linux_x86_64 musl`) and the format of native libraries.

    A wheel for several processors must support all of `machines`.
    """

    text: str
    format: str
    machines: tuple[str, ...]
    libc: str = ""

    def markers(self, python: str) -> dict[str, str]:
        """Return the values of marker variables for a CPython on the platform.

        https://packaging.python.org/en/latest/specifications/dependency-specifiers/
        """
        system, name, os_name, machines = _SYSTEMS[self.format]
        if system == "Linux" and python.startswith("2"):
            name = "linux2"
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{python}.0",
            "os_name": os_name,
            "platform_machine": machines.get(self.machines[0], self.machines[0]),
            "platform_python_implementation": "CPython",
            "platform_system": system,
            "python_full_version": f"{python}.0",
            "python_version": python,
            "sys_platform": name,
        }


def parse_python(tags: str) -> str:
    """Return `3.9` for `cp39-cp39-...`, the first of several; "" without a minor version."""
    match = _INTERPRETER.match(tags)
    return f"{match['major']}.{match['minor']}" if match and match["minor"] else ""


def python_order(python: str) -> tuple[int, ...]:
    """Return a key that orders the results of `parse_python`, "" first."""
    return python_key(python) if python else ()


def parse_platform(tags: str) -> WheelPlatform | None:
    """Return the platform of a wheel's tags, None for any or an unknown platform."""
    for tag in tags.rpartition("-")[2].split("."):
        if tag in _WINDOWS:
            return WheelPlatform(tag, "pe", (_WINDOWS[tag],))
        macos = _MACOS.fullmatch(tag)
        if macos:
            cpu = macos["cpu"]
            machines = _FAT.get(cpu, (_MACHINES.get(cpu, cpu),))
            return WheelPlatform(f"macosx_{cpu}", "mach-o", machines)
        linux = _LINUX.match(tag)
        if linux:
            cpu = tag[linux.end() :]
            musl = linux["kind"].startswith("musllinux")
            text = f"linux_{cpu} musl" if musl else f"linux_{cpu}"
            return WheelPlatform(text, "elf", (cpu,), "musl" if musl else "glibc")
    return None


@dataclasses.dataclass(frozen=True)
class InspectedWheel:
    """A wheel of a release with its contents."""

    release: str
    tags: str
    contents: WheelContents

    @property
    def python(self) -> str:
        """Return the CPython of the tags, "" without a minor version."""
        return parse_python(self.tags)

    @property
    def platform(self) -> WheelPlatform | None:
        """Return the platform of the tags, None for any or an unknown platform."""
        return parse_platform(self.tags)


@dataclasses.dataclass(frozen=True)
class WheelProblem:
    """A problem in a wheel: its subject, and a clause about it (`says`).

    It is located at `line` (1-based, 0 for the whole file) of `member`.
    """

    kind: FindingKind
    subject: str
    says: str
    member: str = ""
    line: int = 0


@dataclasses.dataclass(frozen=True)
class InspectionScope:
    """The extent of an inspection, and where its results are cached.

    `every` selects all wheels of all final releases, else those at the documents' boundaries are
    inspected. `offline` uses only the cache. `report` is called with `done, total` numbers.
    """

    cache_dir: Path
    every: bool = False
    offline: bool = False
    report: Callable[[int, int], None] = lambda _done, _total: None


def boundary_releases(releases: Releases, claims: Iterable[Claim]) -> tuple[str, ...]:
    """Return each capability's minimum, both ends of each branch, and the newest of each major.

    The last ones are for branches without an upper bound, and for releases outside all branches.
    """
    boundaries: set[Version] = set()
    spelling = {release.version: release.text for release in releases.all}
    for claim in claims:
        if claim.status is Status.NOT_SUPPORTED or not claim.specifier:
            continue
        matching = releases.matching(claim.specifier)
        if claim.kind is ClaimKind.CAPABILITY and matching:
            boundaries.add(matching[0].version)
        elif claim.kind is ClaimKind.BRANCH and matching:
            boundaries.add(matching[-1].version)
            if lowest_named(claim.specifier):
                boundaries.add(matching[0].version)
    newest = {release.version.major: release.version for release in releases.all}
    boundaries.update(newest.values())
    return tuple(spelling[version] for version in sorted(boundaries))


def select_wheels(
    project: Project, releases: Sequence[str], *, every: bool = False
) -> tuple[File, ...]:
    """Return the wheels of these releases without yanked ones, newest release first.

    By default only the wheels for the oldest and the newest CPython of each release and platform
    are returned, because most problems affect a platform, or the CPythons at one end.
    """
    selected: list[File] = []
    for release in reversed(project.releases):
        if release.version not in releases:
            continue
        platforms: dict[str, list[File]] = defaultdict(list)
        for file in release.files:
            if file.tags and not file.yanked:
                platform = parse_platform(file.tags)
                platforms[platform.text if platform else "any"].append(file)
        for files in platforms.values():
            files.sort(key=lambda file: (python_order(parse_python(file.tags)), file.filename))
            selected += files if every or len(files) < _ENDS else (files[0], files[-1])
    return tuple(selected)
