"""Which file of a locked release goes into an image: the best wheel for it, else the source."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag, parse_tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from matrix.environments.failures import BuildError
from matrix.environments.lock import Locked
from matrix.model.index import File, Project
from matrix.model.reason import Reason

__all__ = ["Chosen", "Where", "Which", "choose"]


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The one file of a locked distribution; `uploaded` is its day, "" where it is not told."""

    name: str
    version: str
    filename: str
    url: str
    sha256: str
    uploaded: str

    @property
    def locked(self) -> Locked:
        """Return its line of the lock, with this file's hash alone."""
        return Locked(self.name, self.version, (self.sha256,))

    @property
    def is_wheel(self) -> bool:
        """Return whether it can be unpacked as it is."""
        return self.filename.endswith(".whl")


@dataclasses.dataclass(frozen=True)
class Where:
    """What a file must fit: the CPython's full version, its tags (the best first), its name."""

    python: str
    tags: Sequence[Tag]
    name: str


@dataclasses.dataclass(frozen=True)
class Which:
    """Which files count at all: those uploaded `before` a moment (None: all), with `hashes` those
    that the lock names, with `only_binary` wheels.
    """

    before: dt.datetime | None
    hashes: bool
    only_binary: bool


def choose(locked: Locked, project: Project, where: Where, which: Which) -> Chosen:
    """Return the file; raise BuildError where none fits, with the reason for that."""
    files = [
        file
        for release in project.releases
        if _same(release.version, locked.version)
        for file in release.files
        if file.sha256
    ]
    files = [file for file in files if not which.hashes or file.sha256 in locked.hashes]
    if which.before is not None:
        files = [file for file in files if file.uploaded and file.uploaded < which.before]
    if not files:
        said = f"the index has no file of {locked.name} {locked.version} (any more)"
        raise BuildError(Reason.NO_RELEASE, said)
    allowed = [file for file in files if _admits(file, where.python)]
    if not allowed:
        said = f"{locked.name} {locked.version} requires Python {files[0].requires_python}"
        raise BuildError(Reason.REQUIRES_PYTHON, said)
    usable = [file for file in allowed if not file.yanked] or allowed
    best = _best_wheel(usable, where.tags)
    if best is None and not which.only_binary:
        best = _source(usable)
    if best is None:
        kind = "wheel" if which.only_binary else "wheel, and no source distribution,"
        said = f"{locked.name} {locked.version} has no {kind} for {where.name}"
        raise BuildError(Reason.NO_WHEEL, said)
    day = f"{best.uploaded:%Y-%m-%d}" if best.uploaded else ""
    return Chosen(locked.name, locked.version, best.filename, best.url, best.sha256, day)


def _best_wheel(files: Iterable[File], tags: Sequence[Tag]) -> File | None:
    rank: Mapping[Tag, int] = {tag: number for number, tag in enumerate(tags)}
    found = []
    for file in files:
        if not file.tags:
            continue
        ranks = [rank[tag] for tag in parse_tag(file.tags) if tag in rank]
        if ranks:
            found.append((min(ranks), [-part for part in _build(file)], file.filename, file))
    return min(found, key=lambda item: item[:3])[3] if found else None


def _build(file: File) -> tuple[int, ...]:
    """Return the build number, which is higher in the better of two wheels."""
    try:
        build = parse_wheel_filename(file.filename)[2]
    except InvalidWheelFilename:
        return (0,)
    return (int(build[0]),) if build else (0,)


def _source(files: Iterable[File]) -> File | None:
    """Return the source distribution, a tar file where there are several."""
    sources = [file for file in files if not file.tags]
    return min(
        sources, key=lambda file: (file.filename.endswith(".zip"), file.filename), default=None
    )


def _admits(file: File, python: str) -> bool:
    try:
        return SpecifierSet(file.requires_python).contains(python, prereleases=True)
    except InvalidSpecifier:
        return True


def _same(one: str, other: str) -> bool:
    return Version(one) == Version(other)
