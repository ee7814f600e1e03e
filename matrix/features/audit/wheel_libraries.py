"""Problems of native libraries: for another machine or C library than the wheel's tags, or missing.

A library for another machine is needless if there is one of the same name for the wheel's machine,
else it is foreign.
"""

from __future__ import annotations

import dataclasses
import fnmatch
from collections import defaultdict
from collections.abc import Iterable, Iterator

from matrix.features.audit.findings import FindingKind
from matrix.features.audit.wheel_platforms import InspectedWheel, WheelPlatform, WheelProblem
from matrix.pypi.wheel_contents import NativeLibrary, WheelContents
from matrix.system.files import read_data

# The names that musl's loader resolves to itself: `reserved` in load_library of
# https://git.musl-libc.org/cgit/musl/tree/ldso/dynlink.c
_MUSL_RESERVED = {"c", "pthread", "rt", "m", "dl", "util", "xnet"}


def required_library_globs() -> tuple[str, ...]:
    """Return the globs of the libraries that capabilities need, by `data/artifacts.toml`."""
    libraries = read_data("artifacts")["library"].values()
    places = [place for library in libraries for place in library]
    return tuple(sorted({glob for place in places for glob in place["files"]}))


def library_problems(wheel: InspectedWheel) -> Iterator[WheelProblem]:
    """Yield the libraries that a wheel lacks, and those for another machine or C library.

    A wheel for any platform, or for an unknown one, has no such problems.
    """
    platform = wheel.platform
    if platform is not None:
        yield from map(_describe_missing, missing_libraries(wheel.contents, platform))
        yield from _misplaced_libraries(wheel.contents, platform)


def _misplaced_libraries(
    contents: WheelContents, platform: WheelPlatform
) -> Iterator[WheelProblem]:
    groups: dict[str, list[NativeLibrary]] = defaultdict(list)
    for library in contents.libraries:
        groups[library.path.rpartition("/")[2].partition(".")[0]].append(library)
    for group in groups.values():
        complete = len(_supported_machines(group, platform)) == len(platform.machines)
        for library in group:
            says = f"is {_describe(library)}"
            if not _supported_machines([library], platform):
                kind = FindingKind.LIBRARY_NEEDLESS if complete else FindingKind.LIBRARY_FOREIGN
                yield _problem(kind, library, says)
            elif not complete:
                yield _problem(FindingKind.LIBRARY_FOREIGN, library, f"{says} only")
            else:
                yield from _foreign_libc(library, platform)


@dataclasses.dataclass(frozen=True)
class MissingLibrary:
    """A library that a capability needs and a wheel lacks, for `machines` of its tags.

    `files` is where it would be, `loader` the module that loads it, and `others` are the libraries
    in its place.
    """

    capability: str
    library: str
    machines: tuple[str, ...]
    files: str
    loader: str
    others: tuple[NativeLibrary, ...]


def missing_libraries(contents: WheelContents, platform: WheelPlatform) -> Iterator[MissingLibrary]:
    """Yield the libraries of capabilities that the wheel lacks for its machines."""
    needs = read_data("artifacts")
    for capability, need in needs["capability"].items():
        for name in need["libraries"]:
            places = needs["library"][name]
            place = next((one for one in places if one["loader"] in contents.names), None)
            if place is None:
                continue
            libraries = [
                library
                for library in contents.libraries
                if any(fnmatch.fnmatch(library.path, glob) for glob in place["files"])
            ]
            supported = _supported_machines(libraries, platform)
            missing = tuple(each for each in platform.machines if each not in supported)
            if missing:
                files, loader = place["files"][0], place["loader"]
                yield MissingLibrary(capability, name, missing, files, loader, tuple(libraries))


def _describe_missing(missing: MissingLibrary) -> WheelProblem:
    others = ", ".join(sorted(set(map(_describe, missing.others))))
    return WheelProblem(
        FindingKind.LIBRARY_MISSING,
        f"capability/{missing.capability}",
        f"has no {missing.library} for {' and '.join(missing.machines)} ({missing.files})"
        + (f"; there are {others}" if others else ""),
        missing.loader,
    )


def _supported_machines(libraries: Iterable[NativeLibrary], platform: WheelPlatform) -> set[str]:
    """Return the machines of the platform that some of the libraries supports."""
    machines = {
        machine
        for library in libraries
        if library.format == platform.format
        for machine in library.machines
    }
    return machines.intersection(platform.machines)


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
            says = f"needs {', '.join(hard)} of glibc, which musl does not have"
            yield _problem(FindingKind.LIBRARY_FOREIGN_LIBC, library, says)
        elif glibc:
            says = (
                f"needs {', '.join(sorted(glibc))} of glibc; musl's loader resolves these names to"
                " itself, which works if it has all symbols"
            )
            yield _problem(FindingKind.LIBRARY_BUILT_FOR_GLIBC, library, says)
    elif platform.libc == "glibc":
        musl = [name for name in needed if "musl" in name]
        if musl:
            says = f"needs {', '.join(musl)}, which glibc does not have"
            yield _problem(FindingKind.LIBRARY_FOREIGN_LIBC, library, says)


def _is_glibc(name: str) -> bool:
    stem, _, version = name.partition(".so.")
    return stem.removeprefix("lib") in _MUSL_RESERVED and version in {"6", "2", "1", "0"}


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
