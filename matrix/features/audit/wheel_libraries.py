"""Problems of native libraries: for another machine or C library than the wheel's tags, or missing.

A library for another machine is needless if there is one of the same name for the wheel's machine,
else it is foreign.
"""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matrix.features.audit.findings import FindingKind
from matrix.features.audit.wheel_platforms import InspectedWheel, WheelPlatform, WheelProblem
from matrix.pypi.wheel_contents import NativeLibrary, WheelContents

# The names that musl's loader resolves to itself: `reserved` in load_library of
# https://git.musl-libc.org/cgit/musl/tree/ldso/dynlink.c
_MUSL_RESERVED = {"c", "pthread", "rt", "m", "dl", "util", "xnet"}


def required_library_globs(needs: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the globs of the libraries that capabilities need."""
    places = [place for library in needs["library"].values() for place in library]
    return tuple(sorted({glob for place in places for glob in place["files"]}))


def misplaced_libraries(wheel: InspectedWheel) -> Iterator[WheelProblem]:
    """Yield the libraries for another machine or C library than the wheel's tags."""
    platform = wheel.platform
    if platform is None:
        return
    groups: dict[str, list[NativeLibrary]] = defaultdict(list)
    for library in wheel.contents.libraries:
        groups[_stem(library.path)].append(library)
    for group in groups.values():
        complete = not _unsupported_machines(group, platform)
        for library in group:
            if not _supports(library, platform):
                kind = FindingKind.LIBRARY_NEEDLESS if complete else FindingKind.LIBRARY_FOREIGN
                yield _problem(kind, library, f"is {_describe(library)}")
            elif not complete:
                yield _problem(
                    FindingKind.LIBRARY_FOREIGN, library, f"is {_describe(library)} only"
                )
            else:
                yield from _foreign_libc(library, platform)


def missing_libraries(wheel: InspectedWheel, needs: Mapping[str, Any]) -> Iterator[WheelProblem]:
    """Yield the capabilities whose libraries the wheel lacks for its machines."""
    platform = wheel.platform
    if platform is None:
        return
    for capability, need in needs["capability"].items():
        for name in need["libraries"]:
            place = _place(wheel.contents, needs["library"][name])
            if place is None:
                continue
            libraries = [
                library
                for library in wheel.contents.libraries
                if any(fnmatch.fnmatch(library.path, glob) for glob in place["files"])
            ]
            missing = _unsupported_machines(libraries, platform)
            if missing:
                others = ", ".join(sorted(set(map(_describe, libraries))))
                yield WheelProblem(
                    FindingKind.LIBRARY_MISSING,
                    f"capability/{capability}",
                    f"has no {name} for {' and '.join(missing)} ({place['files'][0]})"
                    + (f"; there are {others}" if others else ""),
                    place["loader"],
                )


def _place(
    contents: WheelContents, places: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    names = frozenset(contents.names)
    return next((place for place in places if place["loader"] in names), None)


def _supports(library: NativeLibrary, platform: WheelPlatform) -> bool:
    return library.format == platform.format and not set(library.machines).isdisjoint(
        platform.machines
    )


def _unsupported_machines(libraries: Sequence[NativeLibrary], platform: WheelPlatform) -> list[str]:
    """Return the machines of the platform that none of the libraries supports."""
    supported = {
        machine
        for library in libraries
        if library.format == platform.format
        for machine in library.machines
    }
    return [machine for machine in platform.machines if machine not in supported]


def _foreign_libc(library: NativeLibrary, platform: WheelPlatform) -> Iterator[WheelProblem]:
    needed = library.needed or ()
    if platform.libc == "musl":
        glibc = [name for name in needed if name.startswith("ld-linux") or _is_glibc(name)]
        hard = [
            name
            for name in glibc
            if name.removeprefix("lib").partition(".")[0] not in _MUSL_RESERVED
        ]
        if hard:
            yield _problem(
                FindingKind.LIBRARY_FOREIGN_LIBC,
                library,
                f"needs {', '.join(hard)} of glibc, which musl does not have",
            )
        elif glibc:
            yield _problem(
                FindingKind.LIBRARY_BUILT_FOR_GLIBC,
                library,
                f"needs {', '.join(sorted(glibc))} of glibc; musl's loader resolves these names to"
                " itself, which works if it has all symbols",
            )
    elif platform.libc == "glibc":
        musl = [name for name in needed if "musl" in name]
        if musl:
            yield _problem(
                FindingKind.LIBRARY_FOREIGN_LIBC,
                library,
                f"needs {', '.join(musl)}, which glibc does not have",
            )


def _is_glibc(name: str) -> bool:
    stem, _, version = name.partition(".so.")
    return stem.removeprefix("lib") in _MUSL_RESERVED and version in {"6", "2", "1", "0"}


def _stem(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0]


def _problem(kind: FindingKind, library: NativeLibrary, says: str) -> WheelProblem:
    """Return a problem of a library; its subject is the path without the tag of a CPython."""
    folder, _, name = library.path.rpartition("/")
    stem = f"{name.partition('.')[0]}.{name.rpartition('.')[2]}" if "." in name else name
    subject = f"library/{folder}/{stem}" if folder else f"library/{stem}"
    return WheelProblem(kind, subject, says, library.path)


def _describe(library: NativeLibrary) -> str:
    if not library.format:
        return "not a native library"
    return f"{library.format} for {', '.join(library.machines)}"
