"""Single members of wheels, pinned by hash: nothing else of a wheel is kept."""

from __future__ import annotations

import dataclasses
import hashlib

from matrix.pypi.client import Index
from matrix.pypi.remote_file import BadArtifactError, HttpTransport, RemoteFile, WheelLimits
from matrix.pypi.wheel_reader import WheelArchive


@dataclasses.dataclass(frozen=True)
class MemberPin:
    """A member of a wheel of the index: `wheel` and `sha256` are the digests of both."""

    project: str
    version: str
    wheel: str
    member: str
    sha256: str


def fetch_member(pin: MemberPin, index: Index, limits: WheelLimits | None = None) -> bytes:
    """Return the member's content, of which only its part of the wheel is fetched if possible.

    Raises IndexUnavailableError, and BadArtifactError for what is not the pinned file.
    """
    source = f"{pin.project} {pin.version}"
    files = (
        file
        for release in index.project(pin.project).releases
        for file in release.files
        if release.version == pin.version and file.sha256 == pin.wheel
    )
    file = next(files, None)
    if file is None:
        raise BadArtifactError(source, f"the index has no file of it with the sha256 {pin.wheel}")
    limits = limits or WheelLimits()
    transport = HttpTransport()
    try:
        stream = RemoteFile(file.url, file.filename, transport, limits, file.sha256)
        archive = WheelArchive(stream, file.filename, limits)
        member = archive.members.get(pin.member)
        if member is None:
            raise BadArtifactError(file.filename, f"it has no member {pin.member}")
        archive.prefetch([member])
        content = archive.read(member)
    finally:
        transport.close()
    actual = hashlib.sha256(content).hexdigest()
    if actual != pin.sha256:
        raise BadArtifactError(file.filename, f"the sha256 of {pin.member} is {actual}")
    return content
