"""Projects of a package index: their releases and files."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class File:
    """One file of a release.

    `tags` are the wheel's tags (`cp39-cp39-manylinux2014_x86_64`, compressed sets as written), ""
    for a source distribution.
    """

    filename: str
    url: str
    sha256: str
    uploaded: dt.datetime | None
    requires_python: str
    yanked: bool
    tags: str


@dataclasses.dataclass(frozen=True)
class ReleaseFiles:
    """One release in the index's spelling; `uploaded` is the time of its first file."""

    version: str
    uploaded: dt.datetime | None
    yanked: bool
    requires_python: str
    files: Sequence[File]


@dataclasses.dataclass(frozen=True)
class Project:
    """All releases of a project, in the order of versions, and when the index was read.

    `vanished` are releases that the index listed earlier and no longer lists, or no longer with
    those files: nothing can be installed from them, and they are no part of `releases`.
    """

    name: str
    fetched: dt.datetime
    releases: tuple[ReleaseFiles, ...]
    vanished: tuple[ReleaseFiles, ...] = ()
