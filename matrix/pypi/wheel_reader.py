"""Reader of wheels as untrusted zip archives: hostile ones are refused before any is unpacked.

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

from matrix.pypi.remote_file import BadArtifactError, RemoteFile, WheelLimits

Member = zipfile.ZipInfo

DAMAGE_ERRORS = (
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
"""All that zipfile and zlib raise for a damaged archive, or an unknown compression."""
_LOCAL_HEADER = 30
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED, _UTF8 = 0x1, 0x800
_DRIVE = re.compile(r"[A-Za-z]:")


class WheelArchive:
    """A wheel with its members by name; raises `BadArtifactError` for a damaged or hostile one."""

    def __init__(self, stream: BinaryIO | RemoteFile, source: str, limits: WheelLimits) -> None:
        self._source, self._limits, self._stream = source, limits, stream
        try:
            self._archive = zipfile.ZipFile(cast("BinaryIO", stream))
        except DAMAGE_ERRORS as error:
            raise BadArtifactError(source, f"not a whole zip archive ({error})") from error
        members = self._archive.infolist()
        problem = _find_problem(members, self._archive.start_dir, limits)
        if problem:
            raise BadArtifactError(source, problem)
        self.members = {member.filename: member for member in members if not member.is_dir()}

    def prefetch(self, members: Iterable[Member]) -> None:
        """Fetch these members with few requests."""
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
        """Return the member's bytes, or the first `most` of them without a check of the CRC."""
        try:
            with self._archive.open(member) as stream:
                data = stream.read(self._limits.member + 1 if most is None else most)
        except BadArtifactError:
            raise
        except DAMAGE_ERRORS as error:
            detail = f"its member {member.filename} cannot be read ({error})"
            raise BadArtifactError(self._source, detail) from error
        if most is None and len(data) != member.file_size:
            raise BadArtifactError(self._source, f"its member {member.filename} is truncated")
        return data


def _end(member: Member) -> int:
    """Return the lowest end of the member; its local header may have an extra field."""
    coding = "utf-8" if member.flag_bits & _UTF8 else "cp437"
    name = len(member.filename.encode(coding, "replace"))
    return member.header_offset + _LOCAL_HEADER + name + member.compress_size


def _find_problem(members: list[Member], directory: int, limits: WheelLimits) -> str:
    """Return why the archive is refused, "" if it is not."""
    if len(members) > limits.entries:
        return f"{len(members)} members are more than {limits.entries}"
    if sum(member.file_size for member in members) > limits.unpacked:
        return f"it would unpack to more than {limits.unpacked} bytes"
    names: set[str] = set()
    end = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        problem = _find_member_problem(member, limits)
        if not problem and member.filename in names:
            problem = "is duplicated"
        if not problem and member.header_offset < end:
            problem = "overlaps another one"
        if not problem and _end(member) > directory:
            problem = "extends past the end of the archive's data"
        if problem:
            return f"its member {member.filename!r} {problem}"
        names.add(member.filename)
        end = _end(member)
    return ""


def _find_member_problem(member: Member, limits: WheelLimits) -> str:
    """Return why one member is refused, as the end of a sentence, "" if it is not."""
    name, size, packed = member.filename, member.file_size, member.compress_size
    problems = {
        # zipfile cuts a name at a zero byte and converts backslashes; an installer may not.
        "has a name that installers may read differently": member.orig_filename != name
        or "\\" in name,
        "has an absolute path": name.startswith("/") or bool(_DRIVE.match(name)),
        "leaves the archive by its path": posixpath.normpath(name) != name.rstrip("/")
        or name.split("/")[0] == "..",
        "is a symbolic link": stat.S_ISLNK(member.external_attr >> 16),
        "is encrypted": bool(member.flag_bits & _ENCRYPTED),
        "has an unsupported compression": member.compress_type not in _COMPRESSIONS,
        f"would unpack to {size} bytes": size > limits.member,
        f"would unpack to {size} from {packed} bytes": size > limits.small
        and size > limits.ratio * packed,
    }
    return next((problem for problem, applies in problems.items() if applies), "")
