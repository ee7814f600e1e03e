"""A wheel opened: its members, after everything that a hostile archive does has been refused.

https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

from __future__ import annotations

import posixpath
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable
from typing import BinaryIO, cast

from matrix.pypi.remote_file import RemoteFile
from matrix.pypi.wheel_errors import BadArtifactError, WheelLimits

__all__ = ["Member", "WheelArchive"]

Member = zipfile.ZipInfo

# What zipfile and zlib raise for a damaged archive; NotImplementedError is for packings it lacks.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    UnicodeDecodeError,
    ValueError,
)
_LOCAL_HEADER = 30
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED, _UTF8 = 0x1, 0x800
_DRIVE = re.compile(r"[A-Za-z]:")


class WheelArchive:
    """The members of a wheel, by name. Raises `BadArtifactError` for an archive not to be read."""

    def __init__(self, stream: BinaryIO | RemoteFile, source: str, limits: WheelLimits) -> None:
        self._source, self._limits, self._stream = source, limits, stream
        try:
            self._archive = zipfile.ZipFile(cast("BinaryIO", stream))
        except _DAMAGED as error:
            raise BadArtifactError(source, f"not a whole zip archive ({error})") from error
        members = self._archive.infolist()
        why = _refused(members, self._archive.start_dir, limits)
        if why:
            raise BadArtifactError(source, why)
        self.members = {member.filename: member for member in members if not member.is_dir()}

    def prefetch(self, members: Iterable[Member]) -> None:
        """Fetch these members with as few requests as it takes."""
        if isinstance(self._stream, RemoteFile):
            self._stream.prefetch((member.header_offset, _end(member) + 512) for member in members)

    def prefetch_heads(self, members: Iterable[Member], size: int) -> None:
        """Fetch about the first `size` packed bytes of these members."""
        if isinstance(self._stream, RemoteFile):
            self._stream.prefetch(
                (member.header_offset, min(_end(member), member.header_offset + size) + 512)
                for member in members
            )

    def read(self, member: Member, most: int | None = None) -> bytes:
        """Return the member's bytes, or the first `most` of them (which no checksum covers)."""
        try:
            with self._archive.open(member) as stream:
                data = stream.read(self._limits.member + 1 if most is None else most)
        except BadArtifactError:
            raise
        except _DAMAGED as error:
            why = f"its member {member.filename} cannot be read ({error})"
            raise BadArtifactError(self._source, why) from error
        if most is None and len(data) != member.file_size:
            why = f"its member {member.filename} ends early"
            raise BadArtifactError(self._source, why)
        return data


def _end(member: Member) -> int:
    """Return where the member ends at the earliest; its local header may hold an extra field."""
    coding = "utf-8" if member.flag_bits & _UTF8 else "cp437"
    name = len(member.filename.encode(coding, "replace"))
    return member.header_offset + _LOCAL_HEADER + name + member.compress_size


def _refused(members: list[Member], directory: int, limits: WheelLimits) -> str:
    """Return why the archive is refused, "" where it is not."""
    if len(members) > limits.entries:
        return f"{len(members)} members are more than {limits.entries}"
    if sum(member.file_size for member in members) > limits.unpacked:
        return f"it would unpack to more than {limits.unpacked} bytes"
    seen: set[str] = set()
    end = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        why = _bad_member(member, limits)
        if not why and member.filename in seen:
            why = "is there twice"
        if not why and member.header_offset < end:
            why = "overlaps another one"
        if not why and _end(member) > directory:
            why = "reaches past the end of the archive's data"
        if why:
            return f"its member {member.filename!r} {why}"
        seen.add(member.filename)
        end = _end(member)
    return ""


def _bad_member(member: Member, limits: WheelLimits) -> str:
    """Return what is wrong with one member, as the end of a sentence."""
    name, size, packed = member.filename, member.file_size, member.compress_size
    wrong = {
        # A name that zipfile cut at a zero byte or turned around hides what an installer sees.
        "has a name that reads differently elsewhere": member.orig_filename != name or "\\" in name,
        "has an absolute path": name.startswith("/") or bool(_DRIVE.match(name)),
        "leaves the archive by its path": posixpath.normpath(name) != name.rstrip("/")
        or name.split("/")[0] == "..",
        "is a symbolic link": stat.S_ISLNK(member.external_attr >> 16),
        "is encrypted": bool(member.flag_bits & _ENCRYPTED),
        "is packed in a way that wheels are not": member.compress_type not in _PACKINGS,
        f"would unpack to {size} bytes": size > limits.member,
        f"would unpack to {size} from {packed} bytes": size > limits.small
        and size > limits.ratio * packed,
    }
    return next((why for why, so in wrong.items() if so), "")
