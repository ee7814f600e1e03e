"""Files of locked releases: chosen for an image, downloaded, unpacked once and hard-linked.

Our own unpacking takes 0.1 s where the pip of CPython 2.7 takes 10 s; uv does the same for newer
CPythons, but does not support the tag `py2`. The format:
https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import datetime as dt
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from packaging.tags import Tag, parse_tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from matrix.environments.cache_folders import Artifacts, put_folder, scratch_beside
from matrix.environments.errors import BuildError
from matrix.environments.lock import LockedFile
from matrix.environments.own_indexes import copy_file, is_file_url
from matrix.environments.toolbox import Toolbox
from matrix.model.index import File, Project
from matrix.model.reason import Reason
from matrix.pypi.releases import existed, specifier_allows
from matrix.pypi.wheel_reader import DAMAGE_ERRORS
from matrix.system.stamps import sha256_of

Download = Callable[[str, Path, float], None]
"""Download a URL to a path within so many seconds; raise BuildError."""

_MAX_CONCURRENT = 4
_MAX_FILE_BYTES = 512 * 1024**2
_MAX_UNPACKED_BYTES = 2 * 1024**3
_CHUNK_BYTES = 1 << 18
_CONNECT_SECONDS, _READ_SECONDS = 10.0, 60.0
_MODIFIED = 1_577_836_800  # 2020
_SITE_SCHEMES = {"purelib", "platlib"}


@dataclasses.dataclass(frozen=True)
class ChosenFile:
    """The chosen file of a locked distribution; `uploaded` is its day, "" where it is unknown."""

    name: str
    version: str
    filename: str
    url: str
    sha256: str
    uploaded: str

    @property
    def locked(self) -> LockedFile:
        """Return the line of a lock with the hash of this file only."""
        return LockedFile(self.name, self.version, (self.sha256,))

    @property
    def is_wheel(self) -> bool:
        """Return whether the file is a wheel."""
        return self.filename.endswith(".whl")


@dataclasses.dataclass(frozen=True)
class FileTarget:
    """The CPython that a file is for: full version, tags (the best first), name for messages."""

    python: str
    tags: Sequence[Tag]
    name: str


@dataclasses.dataclass(frozen=True)
class FileChoice:
    """The files to choose from: those uploaded `before` a moment, None for all.

    With `hashes` only files whose hash the lock has, with `only_binary` only wheels.
    """

    before: dt.datetime | None
    hashes: bool
    only_binary: bool


def choose(
    locked: LockedFile, project: Project, target: FileTarget, choice: FileChoice
) -> ChosenFile:
    """Choose the best wheel for a target, or else the source; raise BuildError with the reason."""
    files = [
        file
        for release in project.releases
        if Version(release.version) == Version(locked.version)
        for file in release.files
        if file.sha256
    ]
    release = f"{locked.name} {locked.version}"
    files = [file for file in files if not choice.hashes or file.sha256 in locked.hashes]
    if choice.before is not None:
        files = [file for file in files if existed(file.uploaded, choice.before)]
    if not files:
        raise BuildError(Reason.NO_RELEASE, f"the index no longer has a file of {release}")
    allowed = [file for file in files if specifier_allows(file.requires_python, target.python)]
    if not allowed:
        detail = f"{release} requires Python {files[0].requires_python}"
        raise BuildError(Reason.REQUIRES_PYTHON, detail)
    usable = [file for file in allowed if not file.yanked] or allowed
    best = _best_wheel(usable, target.tags)
    if best is None and not choice.only_binary:
        best = _best_source(usable)
    if best is None:
        kind = "wheel" if choice.only_binary else "wheel, and no source distribution,"
        raise BuildError(Reason.NO_WHEEL, f"{release} has no {kind} for {target.name}")
    day = f"{best.uploaded:%Y-%m-%d}" if best.uploaded else ""
    return ChosenFile(locked.name, locked.version, best.filename, best.url, best.sha256, day)


def _best_wheel(files: Iterable[File], tags: Sequence[Tag]) -> File | None:
    rank: Mapping[Tag, int] = {tag: number for number, tag in enumerate(tags)}

    def order(file: File) -> tuple[int, int, str]:
        best = min(rank[tag] for tag in parse_tag(file.tags) if tag in rank)
        return best, -_build_number(file), file.filename

    fitting = (file for file in files if file.tags and not parse_tag(file.tags).isdisjoint(rank))
    return min(fitting, key=order, default=None)


def _build_number(file: File) -> int:
    """Return the build number; of two wheels with equal tags the higher one is better."""
    try:
        build = parse_wheel_filename(file.filename)[2]
    except InvalidWheelFilename:
        return 0
    return build[0] if build else 0


def _best_source(files: Iterable[File]) -> File | None:
    """Return the source distribution, preferably a tar file."""
    sources = [file for file in files if not file.tags]
    return min(
        sources, key=lambda file: (file.filename.endswith(".zip"), file.filename), default=None
    )


@dataclasses.dataclass(frozen=True)
class Fetcher:
    """Published files by hash, downloaded where they are missing, unless offline."""

    tools: Toolbox
    artifacts: Artifacts
    download: Download

    def fetch(self, files: Sequence[ChosenFile]) -> list[Path]:
        """Return the paths of the files in the same order; raise BuildError."""
        missing = [file for file in files if self.artifacts.find_whole(file.sha256) is None]
        remote = [file.filename for file in missing if not is_file_url(file.url)]
        if remote and self.tools.offline:
            detail = f"cannot fetch files offline that are not cached: {', '.join(remote)}"
            raise BuildError(Reason.INDEX_UNAVAILABLE, detail)
        with concurrent.futures.ThreadPoolExecutor(_MAX_CONCURRENT) as pool:
            for future in [pool.submit(self._fetch, file) for file in missing]:
                future.result()
        return [self._find(file) for file in files]

    def _find(self, file: ChosenFile) -> Path:
        path = self.artifacts.find(file.sha256)
        if path is None:
            raise BuildError(Reason.BUILD_FAILED, f"{file.filename} was removed after download")
        return path

    def _fetch(self, file: ChosenFile) -> None:
        with self.tools.guard(f"file-{file.sha256[:32]}"), self.tools.scratch() as folder:
            if self.artifacts.find(file.sha256) is not None:
                return
            # The name is untrusted: drop any folders from it.
            path = folder / Path(file.filename).name
            fetch = copy_file if is_file_url(file.url) else self.download
            fetch(file.url, path, self.tools.seconds)
            if sha256_of(path) != file.sha256:
                detail = f"the content of {file.filename} does not have the hash of the index"
                raise BuildError(Reason.WRONG_INSTALL, detail)
            self.artifacts.add(path)


def download(url: str, path: Path, seconds: float) -> None:
    """Download over HTTP; raise BuildError where it fails, is too slow, or too large."""
    import requests  # noqa: PLC0415 - start-up time: most runs fetch nothing

    name = path.name
    deadline = time.monotonic() + seconds
    try:
        with (
            requests.get(url, stream=True, timeout=(_CONNECT_SECONDS, _READ_SECONDS)) as response,
            path.open("wb") as stream,
        ):
            if response.status_code != requests.codes.ok:
                raise _fetch_error(name, f"HTTP {response.status_code}")
            size = 0
            for chunk in response.iter_content(_CHUNK_BYTES):
                size += stream.write(chunk)
                if size > _MAX_FILE_BYTES:
                    detail = f"{name} is larger than {_MAX_FILE_BYTES >> 20} MB"
                    raise BuildError(Reason.BUILD_FAILED, detail)
                if time.monotonic() > deadline:
                    raise _fetch_error(name, f"it took longer than {seconds:g} s")
    except requests.exceptions.RequestException as error:
        # The message may contain an address with credentials.
        raise _fetch_error(name, type(error).__name__) from error


def _fetch_error(name: str, cause: str) -> BuildError:
    return BuildError(Reason.INDEX_UNAVAILABLE, f"cannot fetch {name}: {cause}")


@dataclasses.dataclass(frozen=True)
class UnpackedWheels:
    """The folder of an unpacked wheel, and the wheel's sha256."""

    folder: Path
    key: str


def unpack(
    wheel: Path, folder: Path, sha256: str | None = None, *, max_bytes: int = _MAX_UNPACKED_BYTES
) -> Path:
    """Unpack the site-packages files of a wheel to `folder`, unless that exists; return it.

    The hash is checked unless it is None. Scripts, headers and data files are left out.
    """
    if folder.exists():
        return folder
    if sha256 is not None and sha256_of(wheel) != sha256:
        raise BuildError(Reason.WRONG_INSTALL, f"{wheel.name} does not have the locked hash")
    try:
        with scratch_beside(folder) as part, _open_wheel(wheel) as archive:
            # zipfile reads no more of a member than its declared size.
            size = sum(item.file_size for item in archive.infolist())
            if size > max_bytes:
                detail = f"{wheel.name} would unpack to {size >> 20} MB"
                raise BuildError(Reason.BUILD_FAILED, detail)
            for name in archive.namelist():
                target = _site_path(name)
                if target is not None and not name.endswith("/"):
                    _write(archive, name, part / target, part)
            put_folder(part, folder)
    except zipfile.BadZipFile as error:
        raise BuildError(Reason.BUILD_FAILED, f"{wheel.name} is damaged: {error}") from error
    return folder


def _open_wheel(wheel: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(wheel)
    except DAMAGE_ERRORS as error:
        raise zipfile.BadZipFile(str(error)) from error


def link_into(source: Path, target: Path, *, copy: bool = False) -> None:
    """Hard-link all files of `source` into `target`; copy where links are not supported.

    Or with `copy`, where untrusted code may write to the target.
    """
    for folder, _, files in os.walk(source):
        target_folder = target / Path(folder).relative_to(source)
        target_folder.mkdir(parents=True, exist_ok=True)
        for name in files:
            # Two distributions may have one file: the later wins.
            (target_folder / name).unlink(missing_ok=True)
            link_file(Path(folder) / name, target_folder / name, copy=copy)


def link_file(source: Path, target: Path, *, copy: bool = False) -> None:
    """Make `target` a hard link, or a copy where links are not supported, or with `copy`."""
    with contextlib.suppress(OSError):
        if not copy:
            target.hardlink_to(source)
            return
    shutil.copy2(source, target)


def _site_path(name: str) -> str | None:
    """Return the path of a wheel's file within site-packages, None where it goes elsewhere."""
    first, _, rest = name.partition("/")
    if not first.endswith(".data"):
        return name
    scheme, _, rest = rest.partition("/")
    return rest if scheme in _SITE_SCHEMES and rest else None


def _write(archive: zipfile.ZipFile, name: str, target: Path, root: Path) -> None:
    if not target.resolve().is_relative_to(root.resolve()):
        raise BuildError(
            Reason.BUILD_FAILED, f"invalid path in a wheel, outside of its folder: {name}"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as stream:
        stream.writelines(_chunks(archive, name))
    # Byte code has the time of its source, also where that is unpacked again.
    os.utime(target, (_MODIFIED, _MODIFIED))


def _chunks(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    """Yield the content of a member; raise BadZipFile, whatever the damage is."""
    try:
        with archive.open(name) as source:
            while chunk := source.read(_CHUNK_BYTES):
                yield chunk
    except DAMAGE_ERRORS as error:
        raise zipfile.BadZipFile(f"{name}: {error}") from error
