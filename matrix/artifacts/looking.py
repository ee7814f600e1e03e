"""One wheel looked into: its directory first, then the members that matter."""

from __future__ import annotations

import fnmatch
import hashlib
import re
import threading
from collections.abc import Callable, Sequence
from typing import BinaryIO, TypeVar

from matrix.artifacts.contents import Contents
from matrix.artifacts.keeping import Kept
from matrix.artifacts.limits import Limits
from matrix.artifacts.metadata import read_metadata
from matrix.artifacts.native import HEAD, Library, read_head, read_needed
from matrix.artifacts.opening import Member, OpenedWheel
from matrix.artifacts.refusing import BadArtifactError
from matrix.artifacts.remote import RemoteFile
from matrix.artifacts.sources import Module, read_module

__all__ = ["Shared", "is_native", "look"]

T = TypeVar("T")

_NATIVE = re.compile(r"\.(?:so(?:\.\d+)*|pyd|dll|dylib|exe)\Z", re.IGNORECASE)
# A library that is bigger is read to its header only, unless a capability depends on it.
_WHOLE = 96 * 1024


class Shared:
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


def look(  # noqa: PLR0913 - each has a default that is right
    filename: str,
    sha256: str,
    stream: BinaryIO | RemoteFile,
    *,
    whole: Sequence[str] = (),
    limits: Limits | None = None,
    kept: Kept | None = None,
    shared: Shared | None = None,
) -> Contents:
    """Return what is in a wheel; raise `BadArtifactError` where it cannot be trusted.

    `whole` are globs of libraries that are read to their end, however big. A single library or
    Python file that cannot be read is a note, and the rest stays.
    """
    limits, shared = limits or Limits(), shared or Shared()
    wheel = OpenedWheel(stream, filename, limits)
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

    def find() -> tuple[Module, ...]:
        known = kept.find_modules(digest) if kept else None
        if known is None:
            known = _modules(wheel, python, limits)
            if kept:
                kept.keep_modules(digest, known)
        return known

    contents = Contents(
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
    wheel: OpenedWheel,
    members: Sequence[Member],
    whole: Sequence[str],
    shared: Shared,
    notes: list[str],
) -> list[Library]:
    def complete(member: Member) -> bool:
        wanted = any(fnmatch.fnmatch(member.filename, glob) for glob in whole)
        return wanted or member.compress_size <= _WHOLE

    found = []
    new = [member for member in members if not shared.knows(_key(member))]
    wheel.prefetch(member for member in new if complete(member))
    wheel.prefetch_heads((member for member in new if not complete(member)), 2 * HEAD)
    for member in members:

        def find(member: Member = member) -> Library:
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


def _modules(wheel: OpenedWheel, members: Sequence[Member], limits: Limits) -> tuple[Module, ...]:
    readable = [member for member in members if member.file_size <= limits.source]
    wheel.prefetch(readable)
    return tuple(read_module(each.filename, wheel.read(each)) for each in readable)


def _digest(members: Sequence[Member]) -> str:
    rows = (f"{each.filename}\0{each.file_size}\0{each.CRC}\n" for each in members)
    return hashlib.sha256("".join(rows).encode("utf-8", "surrogateescape")).hexdigest()
