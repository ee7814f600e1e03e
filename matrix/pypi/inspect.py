"""One wheel looked into: its directory first, then the members that matter.

What was found, kept by the wheel's hash: a wheel never changes, so neither does the answer.

Many wheels looked into, a few at a time; one that cannot be read does not stop the others.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import gzip
import hashlib
import json
import re
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from matrix.model.index import File
from matrix.pypi.imports import ModuleImports, read_module
from matrix.pypi.native_libraries import HEAD, NativeLibrary, read_head, read_needed
from matrix.pypi.remote_file import RemoteFile, Transport
from matrix.pypi.wheel_contents import (
    WheelContents,
    from_json,
    modules_from_json,
    modules_to_json,
    read_metadata,
    to_json,
)
from matrix.pypi.wheel_errors import BadArtifactError, WheelLimits
from matrix.pypi.wheel_reader import Member, WheelArchive

__all__ = [
    "WheelCache",
    "WheelDownloads",
    "WheelInspection",
    "inspect_wheel",
    "inspect_wheels",
    "is_native",
]

_DAMAGED = (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError)


class WheelCache:
    """`artifacts/wheels/<sha256>` and `artifacts/sources/<digest>` under the cache folder.

    What cannot be read is as good as not there, and what cannot be written is found again.
    """

    def __init__(self, cache_dir: Path) -> None:
        self._root = cache_dir / "artifacts"
        # Wheels of a release share theirs, and to decode them takes longer than all else.
        self._modules: dict[str, tuple[ModuleImports, ...]] = {}

    def find(self, sha256: str) -> WheelContents | None:
        """Return what is known of the wheel of that hash, with its modules."""
        try:
            contents = from_json(self._read("wheels", sha256))
        except _DAMAGED:
            return None
        modules = self.find_modules(contents.sources)
        return None if modules is None else dataclasses.replace(contents, modules=modules)

    def find_modules(self, sources: str) -> tuple[ModuleImports, ...] | None:
        """Return what is known of a set of Python files."""
        if sources not in self._modules:
            try:
                self._modules[sources] = modules_from_json(self._read("sources", sources))
            except _DAMAGED:
                return None
        return self._modules[sources]

    def keep_modules(self, sources: str, modules: tuple[ModuleImports, ...]) -> None:
        """Keep what a set of Python files imports."""
        self._write("sources", sources, modules_to_json(modules))

    def keep(self, contents: WheelContents) -> None:
        """Keep what is in a wheel; its modules are kept by `keep_modules`."""
        self._write("wheels", contents.sha256, to_json(contents))

    def _path(self, kind: str, key: str) -> Path:
        if not key.isalnum():
            raise ValueError(f"not a digest: {key!r}")
        return self._root / kind / key[:2] / f"{key}.json.gz"

    def _read(self, kind: str, key: str) -> Any:  # noqa: ANN401 - JSON from the disk
        return json.loads(gzip.decompress(self._path(kind, key).read_bytes()))

    def _write(self, kind: str, key: str, data: Mapping[str, Any]) -> None:
        temporary = None
        try:
            path = self._path(kind, key)
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                dir=path.parent, prefix=f".{key}.", delete=False
            ) as file:
                temporary = Path(file.name)
                text = json.dumps(data, separators=(",", ":"))
                file.write(gzip.compress(text.encode(), 6, mtime=0))
            temporary.replace(path)
        except (OSError, ValueError):
            if temporary is not None:
                temporary.unlink(missing_ok=True)


T = TypeVar("T")

_NATIVE = re.compile(r"\.(?:so(?:\.\d+)*|pyd|dll|dylib|exe)\Z", re.IGNORECASE)
# A library that is bigger is read to its header only, unless a capability depends on it.
_WHOLE = 96 * 1024


class WheelDownloads:
    """Answers that several wheels have in common, found once however many threads ask.

    Wheels of one release carry the same Python files, and one libddwaf for each machine. What makes
    two members equal is path, size and checksum: enough for an audit, no defence against a forger.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[object, threading.Lock] = {}
        self._found: dict[object, object] = {}

    def knows(self, key: object) -> bool:
        """Return whether the answer is there already."""
        with self._lock:
            return key in self._found

    def once(self, key: object, find: Callable[[], T]) -> T:
        """Return what `find` returns, called once for each key (again where it raised)."""
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._found:
                self._found[key] = find()
            return self._found[key]  # type: ignore[return-value]


def is_native(member: Member) -> bool:
    """Return whether a member is a native library or program, by its name or its mode."""
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
    kept: WheelCache | None = None,
    shared: WheelDownloads | None = None,
) -> WheelContents:
    """Return what is in a wheel; raise `BadArtifactError` where it cannot be trusted.

    `whole` are globs of libraries that are read to their end, however big. A single library or
    Python file that cannot be read is a note, and the rest stays.
    """
    limits, shared = limits or WheelLimits(), shared or WheelDownloads()
    wheel = WheelArchive(stream, filename, limits)
    notes: list[str] = []
    members = wheel.members
    about = [name for name in members if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
    if len(about) != 1:
        raise BadArtifactError(filename, f"{len(about)} METADATA files where a wheel has one")
    native = [member for member in members.values() if is_native(member)]
    libraries = _libraries(wheel, native, whole, shared, notes)
    python = sorted(
        (member for member in members.values() if member.filename.endswith(".py")),
        key=lambda member: member.filename,
    )
    digest = _digest(python)

    def find() -> tuple[ModuleImports, ...]:
        known = kept.find_modules(digest) if kept else None
        if known is None:
            known = _modules(wheel, python, limits)
            if kept:
                kept.keep_modules(digest, known)
        return known

    contents = WheelContents(
        filename=filename,
        sha256=sha256,
        names=tuple(members),
        libraries=tuple(libraries),
        metadata=read_metadata(wheel.read(members[about[0]])),
        sources=digest,
        modules=shared.once(("sources", digest), find),
        notes=tuple(notes),
    )
    if kept and sha256:
        kept.keep(contents)
    return contents


def _libraries(
    wheel: WheelArchive,
    members: Sequence[Member],
    whole: Sequence[str],
    shared: WheelDownloads,
    notes: list[str],
) -> list[NativeLibrary]:
    def complete(member: Member) -> bool:
        wanted = any(fnmatch.fnmatch(member.filename, glob) for glob in whole)
        return wanted or member.compress_size <= _WHOLE

    found = []
    new = [member for member in members if not shared.knows(_key(member))]
    wheel.prefetch(member for member in new if complete(member))
    wheel.prefetch_heads((member for member in new if not complete(member)), 2 * HEAD)
    for member in members:

        def find(member: Member = member) -> NativeLibrary:
            head = wheel.read(member, HEAD)
            library = read_head(member.filename, head)
            if library.format == "elf" and complete(member):
                return read_needed(library, wheel.read(member))
            return library

        try:
            found.append(shared.once(_key(member), find))
        except BadArtifactError as error:
            notes.append(str(error))
    return found


def _key(member: Member) -> object:
    return ("library", member.filename, member.CRC, member.file_size)


def _modules(
    wheel: WheelArchive, members: Sequence[Member], limits: WheelLimits
) -> tuple[ModuleImports, ...]:
    readable = [member for member in members if member.file_size <= limits.source]
    wheel.prefetch(readable)
    return tuple(read_module(each.filename, wheel.read(each)) for each in readable)


def _digest(members: Sequence[Member]) -> str:
    rows = (f"{each.filename}\0{each.file_size}\0{each.CRC}\n" for each in members)
    return hashlib.sha256("".join(rows).encode("utf-8", "surrogateescape")).hexdigest()


_AT_ONCE = 4


@dataclasses.dataclass(frozen=True)
class WheelInspection:
    """What became known. `refused` are wheels that could not be read, `left` those not reached.

    `fetched` counts bytes; what was kept from before costs none.
    """

    contents: tuple[WheelContents, ...]
    refused: tuple[BadArtifactError, ...] = ()
    left: tuple[str, ...] = ()
    fetched: int = 0


def inspect_wheels(  # noqa: PLR0913 - each has a default that is right
    files: Sequence[File],
    kept: WheelCache,
    transport: Transport,
    *,
    whole: Sequence[str] = (),
    limits: WheelLimits | None = None,
    seconds: float = 1800.0,
    offline: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> WheelInspection:
    """Return what is in these wheels, in their order; stop to begin new ones after `seconds`.

    A wheel of which something is known is not fetched, and `offline` fetches none. `tell` is called
    with the name of each wheel that is done, from the caller's own thread.
    """
    known = {file.filename: kept.find(file.sha256) for file in _distinct(files)}
    missing = [file for file in _distinct(files) if known[file.filename] is None]
    refused: list[BadArtifactError] = []
    left: list[str] = [file.filename for file in missing] if offline else []
    fetched = 0
    shared = WheelDownloads()
    bounds = limits or WheelLimits()
    end = time.monotonic() + seconds

    def one(file: File) -> tuple[WheelContents, int]:
        stream = RemoteFile(file.url, file.filename, transport, bounds, file.sha256)
        with stream:
            found = inspect_wheel(
                *(file.filename, file.sha256, stream),
                whole=whole,
                limits=bounds,
                kept=kept,
                shared=shared,
            )
            return found, stream.fetched

    queue = [] if offline else list(reversed(missing))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        running: dict[Future[tuple[WheelContents, int]], File] = {}
        while queue or running:
            while queue and len(running) < _AT_ONCE and time.monotonic() < end:
                file = queue.pop()
                running[pool.submit(one, file)] = file
            if not running:
                left.extend(file.filename for file in reversed(queue))
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                file = running.pop(future)
                try:
                    known[file.filename], count = future.result()
                    fetched += count
                except BadArtifactError as error:
                    refused.append(error)
                tell(file.filename)
    return WheelInspection(
        contents=tuple(found for found in known.values() if found is not None),
        refused=tuple(sorted(refused, key=lambda error: error.source)),
        left=tuple(left),
        fetched=fetched,
    )


def _distinct(files: Iterable[File]) -> Iterable[File]:
    return {file.filename: file for file in files}.values()
