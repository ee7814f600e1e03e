"""What a project's releases offer to each CPython, system and processor.

Wheels are matched by their tags, source distributions by `Requires-Python`. Everything is worked
out once for all releases; a question is then a look at sets.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections.abc import Sequence

from packaging.version import Version

from matrix.index.filenames import runs_on
from matrix.index.tags import platforms_of
from matrix.model.index import Project, Release
from matrix.planning.shelf import allows, python_key

__all__ = [
    "GLIBC",
    "MUSL",
    "TARGETS",
    "Files",
    "Listed",
    "Offer",
    "Shelves",
    "Target",
    "pythons_of",
    "shelves_of",
]


@dataclasses.dataclass(frozen=True, order=True)
class Target:
    """A platform: in wheel-tag words (`linux_x86_64`), its C library where it has several."""

    name: str
    title: str
    libc: str = ""

    @property
    def text(self) -> str:
        """Return a short name that tells the C libraries apart."""
        return f"{self.name} musl" if self.libc == MUSL else self.name


GLIBC, MUSL = "glibc", "musl"
TARGETS = (
    Target("linux_x86_64", "Linux x86-64", GLIBC),
    Target("linux_x86_64", "Linux x86-64 (musl)", MUSL),
    Target("linux_i686", "Linux i686", GLIBC),
    Target("linux_i686", "Linux i686 (musl)", MUSL),
    Target("linux_aarch64", "Linux AArch64", GLIBC),
    Target("linux_aarch64", "Linux AArch64 (musl)", MUSL),
    Target("macosx_x86_64", "macOS Intel"),
    Target("macosx_arm64", "macOS Apple Silicon"),
    Target("win_amd64", "Windows 64 bit"),
    Target("win32", "Windows 32 bit"),
)


class Offer(str, enum.Enum):
    """What a release has for a CPython on a platform, the best that there is.

    EXCLUDED: there are files that would do, and all say by `Requires-Python` that they will not.
    """

    WHEEL = "wheel"
    SOURCE = "source"
    EXCLUDED = "excluded"
    NOTHING = "nothing"


@dataclasses.dataclass(frozen=True, eq=False)
class Files:
    """The usable files of a release by what they are for; many releases share one of these.

    `wheels` are (interpreters, abis, platforms, Requires-Python), `sources` the Requires-Python
    values of source distributions.
    """

    wheels: frozenset[tuple[str, str, str, str]]
    sources: frozenset[str]

    def says(self) -> frozenset[str]:
        """Return the different values of `Requires-Python`."""
        return self.sources.union(wheel[3] for wheel in self.wheels)


@dataclasses.dataclass(frozen=True, eq=False)
class Listed:
    """One release with its usable files."""

    release: Release
    version: Version
    files: Files

    @property
    def text(self) -> str:
        """Return the index's spelling of the version."""
        return self.release.version


@dataclasses.dataclass(frozen=True, eq=False)
class Shelves:
    """A project's releases, ascending: those that installers take, and those set apart."""

    project: Project
    final: tuple[Listed, ...]
    early: tuple[Listed, ...]
    yanked: tuple[Listed, ...]
    vanished: tuple[Listed, ...]
    _known: dict[tuple[Files, str, Target], Offer] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def pythons(self) -> tuple[str, ...]:
        """Return every CPython (`3.9`) that some release has a wheel of its own for, ascending."""
        named = {
            f"{tag[2]}.{tag[3:]}"
            for listed in self.final
            for wheel in listed.files.wheels
            for tag in wheel[0].split(".")
            if tag.startswith("cp") and tag[3:].isdigit()
        }
        return tuple(sorted(named, key=python_key))

    def offer(self, listed: Listed, python: str, target: Target) -> Offer:
        """Return the best that a release has for a CPython on a platform."""
        key = (listed.files, python, target)
        if key not in self._known:
            self._known[key] = _offer(listed.files, python, target)
        return self._known[key]


def shelves_of(project: Project) -> Shelves:
    """Sort a project's releases and files."""
    final: list[Listed] = []
    early: list[Listed] = []
    yanked: list[Listed] = []
    shared: dict[object, Files] = {}
    for release in project.releases:
        listed = _listed(release, shared)
        if release.yanked:
            yanked.append(listed)
        else:
            (early if listed.version.is_prerelease else final).append(listed)
    vanished = tuple(_listed(release, shared) for release in project.vanished)
    return Shelves(project, tuple(final), tuple(early), tuple(yanked), vanished)


def pythons_of(specifier: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the CPythons that `==3.9.*` or `>=3.7` means: those known, and one named alone."""
    named = specifier.removeprefix("==").removesuffix(".*")
    if specifier.startswith("==") and specifier.endswith(".*") and named.count(".") == 1:
        return (named,)
    return tuple(python for python in known if allows(specifier, f"{python}.99"))


def _listed(release: Release, shared: dict[object, Files]) -> Listed:
    wheels: set[tuple[str, str, str, str]] = set()
    sources: set[str] = set()
    for file in release.files:
        if file.yanked and not release.yanked:
            continue
        if file.tags:
            interpreters, abis, platforms = file.tags.split("-")
            wheels.add((interpreters, abis, platforms, file.requires_python))
        else:
            sources.add(file.requires_python)
    key = (frozenset(wheels), frozenset(sources))
    files = shared.setdefault(key, Files(*key))
    return Listed(release, Version(release.version), files)


def _offer(files: Files, python: str, target: Target) -> Offer:
    # `>=3.6.2` and `!=3.5.0` are about patches; the newest patch of the minor is what is meant.
    patch = f"{python}.99"
    excluded = False
    for interpreters, abis, platforms, says in files.wheels:
        if runs_on(interpreters, abis, python) and _installs(platforms, target):
            if allows(says, patch):
                return Offer.WHEEL
            excluded = True
    for says in files.sources:
        if allows(says, patch):
            return Offer.SOURCE
        excluded = True
    return Offer.EXCLUDED if excluded else Offer.NOTHING


@functools.lru_cache(maxsize=4096)
def _installs(platforms: str, target: Target) -> bool:
    taken = _platforms(target)
    return any(tag == "any" or tag in taken for tag in platforms.split("."))


@functools.cache
def _platforms(target: Target) -> frozenset[str]:
    return frozenset(platforms_of(target.name, target.libc))
