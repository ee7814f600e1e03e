"""Inspection of one wheel: of its directory first, then of the members that matter.

Results are cached by the wheel's hash, as a published wheel never changes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import functools
import gzip
import hashlib
import json
import re
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from matrix.pypi.imports import ModuleImports, read_module
from matrix.pypi.remote_file import BadArtifactError, RemoteFile, WheelLimits
from matrix.pypi.wheel_contents import (
    HEAD,
    NativeLibrary,
    WheelContents,
    from_json,
    modules_from_json,
    modules_to_json,
    read_head,
    read_metadata,
    read_needed,
    to_json,
)
from matrix.pypi.wheel_reader import Member, WheelArchive
from matrix.system.files import write_atomic

_DAMAGE_ERRORS = (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError)


class WheelCache:
    """Cache of wheel contents: `artifacts/wheels/<sha256>` and `artifacts/sources/<digest>`.

    Unreadable entries count as missing, and errors of writing are ignored.
    """

    def __init__(self, cache_dir: Path) -> None:
        self._root = cache_dir / "artifacts"
        # Wheels of a release share their modules, and decoding these takes most of the time.
        self._modules: dict[str, tuple[ModuleImports, ...]] = {}

    def find(self, sha256: str) -> WheelContents | None:
        """Return the contents of the wheel of that hash with its modules, None if not cached."""
        try:
            contents = from_json(self._read("wheels", sha256))
        except _DAMAGE_ERRORS:
            return None
        modules = self.find_modules(contents.sources)
        return None if modules is None else dataclasses.replace(contents, modules=modules)

    def find_modules(self, sources: str) -> tuple[ModuleImports, ...] | None:
        """Return the imports of a set of Python files, None if not cached."""
        if sources not in self._modules:
            try:
                self._modules[sources] = modules_from_json(self._read("sources", sources))
            except _DAMAGE_ERRORS:
                return None
        return self._modules[sources]

    def store_modules(self, sources: str, modules: tuple[ModuleImports, ...]) -> None:
        """Store the imports of a set of Python files."""
        self._write("sources", sources, modules_to_json(modules))

    def store(self, contents: WheelContents) -> None:
        """Store the contents of a wheel, except its modules."""
        self._write("wheels", contents.sha256, to_json(contents))

    def _path(self, kind: str, key: str) -> Path:
        if not key.isalnum():
            raise ValueError(f"not a digest: {key!r}")
        return self._root / kind / key[:2] / f"{key}.json.gz"

    def _read(self, kind: str, key: str) -> Any:  # noqa: ANN401 - JSON from the disk
        return json.loads(gzip.decompress(self._path(kind, key).read_bytes()))

    def _write(self, kind: str, key: str, data: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError, ValueError):
            text = json.dumps(data, separators=(",", ":"))
            write_atomic(self._path(kind, key), gzip.compress(text.encode(), 6, mtime=0))


T = TypeVar("T")

_NATIVE = re.compile(r"\.(?:so(?:\.\d+)*|pyd|dll|dylib|exe)\Z", re.IGNORECASE)
# Only the header of a bigger library is read, unless a capability depends on it.
_WHOLE_BYTES = 96 * 1024


# Some ten releases have so many different files.
_MOST_RESULTS = 20_000


class SharedResults:
    """Results that several wheels have in common, computed once; safe for threads.

    Wheels of one release have nearly the same Python files, and one libddwaf for each machine;
    near releases have most in common. Members are equal by path, size and CRC: enough for an
    audit, but no protection against a forger. The `most` results used last are kept.
    """

    def __init__(self, most: int = _MOST_RESULTS) -> None:
        self._lock = threading.Lock()
        self._locks: dict[object, threading.Lock] = {}
        self._results: dict[object, object] = {}
        self._most = most

    def has(self, key: object) -> bool:
        """Return whether the result is available."""
        with self._lock:
            return key in self._results

    def once(self, key: object, compute: Callable[[], T]) -> T:
        """Return the result of `compute`, called once for each key (again after an error)."""
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            with self._lock:
                found = key in self._results
                result = self._results.pop(key, None)
                if found:
                    self._results[key] = result
            if not found:
                result = compute()
                with self._lock:
                    self._results[key] = result
                    while len(self._results) > self._most:
                        oldest = next(iter(self._results))
                        del self._results[oldest]
                        self._locks.pop(oldest, None)
            return result  # type: ignore[return-value]


def is_native(member: Member) -> bool:
    """Return whether a member is a native library or program, by its name or mode."""
    name = member.filename.rpartition("/")[2]
    if _NATIVE.search(name):
        return True
    return "." not in name and bool(member.external_attr >> 16 & 0o111) and member.file_size > HEAD


def inspect_wheel(  # noqa: PLR0913 - each has a default that is right
    filename: str,
    sha256: str,
    stream: BinaryIO | RemoteFile,
    *,
    whole: Sequence[str] = (),
    limits: WheelLimits | None = None,
    cache: WheelCache | None = None,
    shared: SharedResults | None = None,
) -> WheelContents:
    """Return the contents of a wheel; raise `BadArtifactError` for a damaged or hostile one.

    `whole` are globs of libraries that are read completely, whatever their size. A single library
    that cannot be read is only a note.
    """
    limits, shared = limits or WheelLimits(), shared or SharedResults()
    wheel = WheelArchive(stream, filename, limits)
    notes: list[str] = []
    members = wheel.members
    metadata = [name for name in members if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
    if len(metadata) != 1:
        raise BadArtifactError(filename, f"{len(metadata)} METADATA files (expected one)")
    native = [member for member in members.values() if is_native(member)]
    libraries = _read_libraries(wheel, native, whole, shared, notes)
    python = sorted(
        (member for member in members.values() if member.filename.endswith(".py")),
        key=lambda member: member.filename,
    )
    digest = _digest(python)

    def find_modules() -> tuple[ModuleImports, ...]:
        modules = cache.find_modules(digest) if cache else None
        if modules is None:
            modules = _read_modules(wheel, python, limits, shared)
            if cache:
                cache.store_modules(digest, modules)
        return modules

    contents = WheelContents(
        filename=filename,
        sha256=sha256,
        names=tuple(members),
        libraries=tuple(libraries),
        metadata=read_metadata(wheel.read(members[metadata[0]])),
        sources=digest,
        modules=shared.once(("sources", digest), find_modules),
        notes=tuple(notes),
    )
    if cache and sha256:
        cache.store(contents)
    return contents


def _read_libraries(
    wheel: WheelArchive,
    members: Sequence[Member],
    whole: Sequence[str],
    shared: SharedResults,
    notes: list[str],
) -> list[NativeLibrary]:
    def is_whole(member: Member) -> bool:
        return member.compress_size <= _WHOLE_BYTES or any(
            fnmatch.fnmatch(member.filename, glob) for glob in whole
        )

    def read(member: Member) -> NativeLibrary:
        library = read_head(member.filename, wheel.read(member, HEAD))
        if library.format == "elf" and is_whole(member):
            return read_needed(library, wheel.read(member))
        return library

    new = [member for member in members if not shared.has(_key("library", member))]
    wheel.prefetch(member for member in new if is_whole(member))
    wheel.prefetch_heads((member for member in new if not is_whole(member)), 2 * HEAD)
    libraries = []
    for member in members:
        try:
            libraries.append(shared.once(_key("library", member), functools.partial(read, member)))
        except BadArtifactError as error:  # noqa: PERF203 - one may fail
            notes.append(str(error))
    return libraries


def _key(kind: str, member: Member) -> object:
    return (kind, member.filename, member.CRC, member.file_size)


def _read_modules(
    wheel: WheelArchive, members: Sequence[Member], limits: WheelLimits, shared: SharedResults
) -> tuple[ModuleImports, ...]:
    """Return the imports of each file; wheels for other platforms have all but a few of them."""

    def read(member: Member) -> ModuleImports:
        return read_module(member.filename, wheel.read(member))

    readable = [member for member in members if member.file_size <= limits.source]
    wheel.prefetch(member for member in readable if not shared.has(_key("module", member)))
    return tuple(
        shared.once(_key("module", member), functools.partial(read, member)) for member in readable
    )


def _digest(members: Sequence[Member]) -> str:
    rows = (f"{member.filename}\0{member.file_size}\0{member.CRC}\n" for member in members)
    return hashlib.sha256("".join(rows).encode("utf-8", "surrogateescape")).hexdigest()
