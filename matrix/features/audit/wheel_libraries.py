"""Native libraries of a wheel against its tags: for another machine, of another C library, or none.

A library for another machine is needless weight where the wheel's own machine has one of the same
name, and a fault where it has none.
"""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matrix.features.audit.findings import FindingKind
from matrix.features.audit.wheel_platforms import InspectedWheel, Platform, PlatformMismatch
from matrix.pypi.native_libraries import NativeLibrary
from matrix.pypi.wheel_contents import WheelContents

__all__ = ["lacking_libraries", "misplaced_libraries", "whole_globs"]

# What musl's loader takes for itself by name, whoever asks: `reserved` in load_library of
# https://git.musl-libc.org/cgit/musl/tree/ldso/dynlink.c
_MUSL_ANSWERS = {"c", "pthread", "rt", "m", "dl", "util", "xnet"}


def whole_globs(needs: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the globs of the libraries that capabilities depend on."""
    places = [place for named in needs["library"].values() for place in named]
    return tuple(sorted({glob for place in places for glob in place["files"]}))


def misplaced_libraries(looked: InspectedWheel) -> Iterator[PlatformMismatch]:
    """Yield the libraries that are not for the machine of the wheel's tags."""
    platform = looked.platform
    if platform is None:
        return
    groups: dict[str, list[NativeLibrary]] = defaultdict(list)
    for library in looked.contents.libraries:
        groups[_stem(library.path)].append(library)
    for group in groups.values():
        whole = not _unserved(group, platform)
        for library in group:
            if not _serves(library, platform):
                kind = FindingKind.LIBRARY_NEEDLESS if whole else FindingKind.LIBRARY_FOREIGN
                yield PlatformMismatch(
                    kind, _subject(library.path), f"is {_what(library)}", library.path
                )
            elif not whole:
                said = f"is {_what(library)} only"
                yield PlatformMismatch(
                    FindingKind.LIBRARY_FOREIGN, _subject(library.path), said, library.path
                )
            else:
                yield from _foreign_libc(library, platform)


def lacking_libraries(
    looked: InspectedWheel, needs: Mapping[str, Any]
) -> Iterator[PlatformMismatch]:
    """Yield the capabilities whose libraries the wheel does not have for its machine."""
    platform = looked.platform
    if platform is None:
        return
    for capability, need in needs["capability"].items():
        for name in need["libraries"]:
            place = _place(looked.contents, needs["library"][name])
            if place is None:
                continue
            there = [
                library
                for library in looked.contents.libraries
                if any(fnmatch.fnmatch(library.path, glob) for glob in place["files"])
            ]
            missing = _unserved(there, platform)
            if missing:
                cpus = " and ".join(missing)
                others = f"; there are {', '.join(sorted({*map(_what, there)}))}" if there else ""
                said = f"has no {name} for {cpus} ({place['files'][0]}){others}"
                yield PlatformMismatch(
                    FindingKind.LIBRARY_MISSING, f"capability/{capability}", said, place["loader"]
                )


def _place(
    contents: WheelContents, places: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    names = frozenset(contents.names)
    return next((place for place in places if place["loader"] in names), None)


def _serves(library: NativeLibrary, platform: Platform) -> bool:
    return library.format == platform.format and not set(library.machines).isdisjoint(
        platform.machines
    )


def _unserved(libraries: Sequence[NativeLibrary], platform: Platform) -> list[str]:
    """Return the machines of the platform that none of the libraries is for."""
    served = {
        machine
        for library in libraries
        if library.format == platform.format
        for machine in library.machines
    }
    return [machine for machine in platform.machines if machine not in served]


def _foreign_libc(library: NativeLibrary, platform: Platform) -> Iterator[PlatformMismatch]:
    needed = library.needed or ()
    if platform.libc == "musl":
        glibc = [name for name in needed if name.startswith("ld-linux") or _of_glibc(name)]
        hard = [
            name
            for name in glibc
            if name.removeprefix("lib").partition(".")[0] not in _MUSL_ANSWERS
        ]
        if hard:
            said = f"asks for glibc's {', '.join(hard)}, which musl does not have"
            yield PlatformMismatch(
                FindingKind.LIBRARY_FOREIGN_LIBC, _subject(library.path), said, library.path
            )
        elif glibc:
            said = (
                f"asks for {', '.join(sorted(glibc))} by glibc's names; musl's loader answers to"
                " them with itself, which does if it has all symbols"
            )
            yield PlatformMismatch(
                FindingKind.LIBRARY_BUILT_FOR_GLIBC, _subject(library.path), said, library.path
            )
    elif platform.libc == "glibc":
        musl = [name for name in needed if "musl" in name]
        if musl:
            said = f"asks for {', '.join(musl)}, which glibc does not have"
            yield PlatformMismatch(
                FindingKind.LIBRARY_FOREIGN_LIBC, _subject(library.path), said, library.path
            )


def _of_glibc(name: str) -> bool:
    stem, _, version = name.partition(".so.")
    return stem.removeprefix("lib") in _MUSL_ANSWERS and version in {"6", "2", "1", "0"}


def _stem(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0]


def _subject(path: str) -> str:
    """Return a name that is the same for all CPythons: the module, without their tag."""
    folder, _, name = path.rpartition("/")
    stem = f"{name.partition('.')[0]}.{name.rpartition('.')[2]}" if "." in name else name
    return f"library/{folder}/{stem}" if folder else f"library/{stem}"


def _what(library: NativeLibrary) -> str:
    if not library.format:
        return "no native library at all"
    return f"{library.format} for {', '.join(library.machines)}"
