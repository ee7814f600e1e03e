"""Files of the index, fetched once, each checked against the hash that the index gives.

Which file of a locked release goes into an image: the best wheel for it, else the source.

Wheels put into an environment by hand: unpacked once, hard-linked from then on.

Takes 0.1 s where the pip of CPython 2.7 takes ten. uv, which does the same for newer CPythons,
does not know the tag `py2`. The format:
https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import datetime as dt
import hashlib
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag, parse_tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from matrix.environments.cache_folders import Artifacts, put
from matrix.environments.dated_index import copy_here, is_here
from matrix.environments.errors import BuildError
from matrix.environments.lock import LockedFile
from matrix.environments.toolbox import Toolbox
from matrix.model.index import File, Project
from matrix.model.reason import Reason

__all__ = [
    "ChosenFile",
    "Download",
    "Fetcher",
    "FileChoice",
    "FileTarget",
    "UnpackedWheels",
    "choose",
    "download",
    "link_into",
    "unpack",
]


@dataclasses.dataclass(frozen=True)
class ChosenFile:
    """The one file of a locked distribution; `uploaded` is its day, "" where it is not told."""

    name: str
    version: str
    filename: str
    url: str
    sha256: str
    uploaded: str

    @property
    def locked(self) -> LockedFile:
        """Return its line of the lock, with this file's hash alone."""
        return LockedFile(self.name, self.version, (self.sha256,))

    @property
    def is_wheel(self) -> bool:
        """Return whether it can be unpacked as it is."""
        return self.filename.endswith(".whl")


@dataclasses.dataclass(frozen=True)
class FileTarget:
    """What a file must fit: the CPython's full version, its tags (the best first), its name."""

    python: str
    tags: Sequence[Tag]
    name: str


@dataclasses.dataclass(frozen=True)
class FileChoice:
    """Which files count at all: those uploaded `before` a moment (None: all), with `hashes` those
    that the lock names, with `only_binary` wheels.
    """

    before: dt.datetime | None
    hashes: bool
    only_binary: bool


def choose(
    locked: LockedFile, project: Project, where: FileTarget, which: FileChoice
) -> ChosenFile:
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
    return ChosenFile(locked.name, locked.version, best.filename, best.url, best.sha256, day)


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


Download = Callable[[str, Path, float], None]
"""Puts what is at a URL into a file within so many seconds; raises BuildError."""

_AT_ONCE = 4
_MOST_BYTES = 512 * 1024 * 1024
_PIECE = 1 << 18
_CONNECT_SECONDS, _READ_SECONDS = 10.0, 60.0


class Fetcher:
    """Published files by hash; what is not here is fetched, unless that is forbidden."""

    def __init__(self, tools: Toolbox, artifacts: Artifacts, get: Download) -> None:
        self._tools = tools
        self._artifacts = artifacts
        self._get = get

    def fetch(self, files: Sequence[ChosenFile]) -> list[Path]:
        """Return where the files are, in their order; raise BuildError where one cannot be had."""
        missing = [file for file in files if self._artifacts.find(file.sha256) is None]
        away = [file for file in missing if not is_here(file.url)]
        if away and self._tools.offline:
            names = ", ".join(file.filename for file in away)
            said = f"not here, and nothing may be fetched: {names}"
            raise BuildError(Reason.INDEX_UNAVAILABLE, said)
        with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
            for done in [pool.submit(self._fetch, file) for file in missing]:
                done.result()
        return [self._find(file) for file in files]

    def _find(self, file: ChosenFile) -> Path:
        found = self._artifacts.find(file.sha256)
        if found is None:
            raise BuildError(Reason.BUILD_FAILED, f"{file.filename} was fetched and is gone")
        return found

    def _fetch(self, file: ChosenFile) -> None:
        with self._tools.guard(f"file-{file.sha256[:32]}"), self._tools.scratch() as folder:
            if self._artifacts.find(file.sha256) is not None:
                return
            # A name from outside: nothing but a name.
            path = folder / Path(file.filename).name
            (copy_here if is_here(file.url) else self._get)(file.url, path, self._tools.seconds)
            with path.open("rb") as stream:
                digest = _sha256(stream.read)
            if digest != file.sha256:
                said = f"{file.filename} is not the file whose hash the index tells"
                raise BuildError(Reason.WRONG_INSTALL, said)
            self._artifacts.keep(path)


def download(url: str, path: Path, seconds: float) -> None:
    """Fetch over HTTP; what is too slow, too large or cut off is a failure of the index."""
    import requests  # noqa: PLC0415 - not for a look at what is finished

    name = path.name
    deadline = time.monotonic() + seconds
    try:
        with (
            requests.get(url, stream=True, timeout=(_CONNECT_SECONDS, _READ_SECONDS)) as answer,
            path.open("wb") as stream,
        ):
            if answer.status_code != requests.codes.ok:
                raise _away(name, f"HTTP {answer.status_code}")
            size = 0
            for piece in answer.iter_content(_PIECE):
                size += stream.write(piece)
                if size > _MOST_BYTES:
                    said = f"{name} is larger than {_MOST_BYTES >> 20} MB"
                    raise BuildError(Reason.BUILD_FAILED, said)
                if time.monotonic() > deadline:
                    raise _away(name, f"it took longer than {seconds:g} s")
    except requests.exceptions.RequestException as error:
        # The library's text names the address, credentials and all: give its kind only.
        raise _away(name, type(error).__name__) from error


def _away(name: str, said: str) -> BuildError:
    return BuildError(Reason.INDEX_UNAVAILABLE, f"{name} could not be fetched: {said}")


def _sha256(read: Callable[[int], bytes]) -> str:
    digest = hashlib.sha256()
    while piece := read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()


_LIBRARIES = {"purelib", "platlib"}
_UNPACKING_MOST_BYTES = 2 * 1024**3


@dataclasses.dataclass(frozen=True)
class UnpackedWheels:
    """A wheel's folder, and its sha256, which names the content."""

    folder: Path
    key: str


def unpack(wheel: Path, folder: Path, sha256: str | None = None) -> Path:
    """Return `folder` with what the wheel puts into site-packages; do nothing where it is there.

    `sha256` is checked where given. Scripts, headers and data files are left out.
    """
    if folder.exists():
        return folder
    if sha256 is not None and hashlib.sha256(wheel.read_bytes()).hexdigest() != sha256:
        raise BuildError(Reason.WRONG_INSTALL, f"{wheel.name} is not the file that was locked")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".part-"))
    try:
        with zipfile.ZipFile(wheel) as archive:
            # No more than the archive says is read of any member.
            size = sum(item.file_size for item in archive.infolist())
            if size > _UNPACKING_MOST_BYTES:
                said = f"{wheel.name} would unpack to {size >> 20} MB"
                raise BuildError(Reason.BUILD_FAILED, said)
            for name in archive.namelist():
                target = _target(name)
                if target is not None and not name.endswith("/"):
                    _write(archive, name, part / target, part)
        put(part, folder)
    except (zipfile.BadZipFile, EOFError) as error:
        raise BuildError(Reason.BUILD_FAILED, f"{wheel.name} is damaged: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def link_into(source: Path, target: Path) -> None:
    """Hard-link all files of `source` into `target`; copy where links are not to be had."""
    for folder, _, files in os.walk(source):
        there = target / Path(folder).relative_to(source)
        there.mkdir(parents=True, exist_ok=True)
        for name in files:
            _link(Path(folder) / name, there / name)


def _target(name: str) -> str | None:
    """Return where a wheel's file goes within site-packages, None where it goes elsewhere."""
    first, _, rest = name.partition("/")
    if not first.endswith(".data"):
        return name
    scheme, _, rest = rest.partition("/")
    return rest if scheme in _LIBRARIES and rest else None


def _write(archive: zipfile.ZipFile, name: str, target: Path, root: Path) -> None:
    if not target.resolve().is_relative_to(root.resolve()):
        raise BuildError(Reason.BUILD_FAILED, f"a wheel wants to write outside itself: {name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as source, target.open("wb") as stream:
        shutil.copyfileobj(source, stream)


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)  # two distributions may bring one file: the later wins
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)
