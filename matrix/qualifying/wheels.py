"""A wheel that is a file here: what its name and its metadata say, and its sha256."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import zipfile
from pathlib import Path

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from matrix.artifacts.metadata import Metadata, read_metadata
from matrix.index.filenames import wheel_tags
from matrix.model.index import File

__all__ = ["UnusableWheelError", "Wheel", "read_wheel"]

_PIECE = 1 << 18
_LARGEST_METADATA = 4_000_000


class UnusableWheelError(Exception):
    """A file that is no wheel to go by; the message says why."""


@dataclasses.dataclass(frozen=True)
class Wheel:
    """`name` is canonical, `version` normalized; `requires_python` is the metadata's."""

    path: Path
    name: str
    version: str
    requires_python: str
    sha256: str

    def as_file(self, uploaded: dt.datetime) -> File:
        """Return it as an index would list it, at its place on this machine."""
        return File(
            filename=self.path.name,
            url=self.path.as_uri(),
            sha256=self.sha256,
            uploaded=uploaded,
            requires_python=self.requires_python,
            yanked=False,
            tags=wheel_tags(self.path.name),
        )


def read_wheel(path: Path) -> Wheel:
    """Return what a file is; raise `UnusableWheelError`. `path` is absolute."""
    try:
        name, version = parse_wheel_filename(path.name)[:2]
    except InvalidWheelFilename:
        raise UnusableWheelError("its name is not that of a wheel") from None
    try:
        said = _metadata(path)
        with path.open("rb") as stream:
            digest = hashlib.sha256()
            while piece := stream.read(_PIECE):
                digest.update(piece)
    except OSError as error:
        raise UnusableWheelError(f"it cannot be read: {error.strerror or error}") from error
    try:
        same = Version(said.version) == version
    except InvalidVersion:
        same = False
    if not same or canonicalize_name(said.name) != name:
        raise UnusableWheelError(f"inside it says {said.name} {said.version}")
    return Wheel(path, str(name), str(version), said.requires_python, digest.hexdigest())


def _metadata(path: Path) -> Metadata:
    try:
        with zipfile.ZipFile(path) as archive:
            own = [
                each
                for each in archive.infolist()
                if each.filename.count("/") == 1 and each.filename.endswith(".dist-info/METADATA")
            ]
            if len(own) != 1 or own[0].file_size > _LARGEST_METADATA:
                raise UnusableWheelError("it has no METADATA to go by")
            return read_metadata(archive.read(own[0]))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise UnusableWheelError(f"it is no zip archive: {error}") from error
