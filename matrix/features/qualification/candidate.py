"""The release to qualify: one of an index, or unpublished wheels.

`Candidate.overlay` is the index to plan with. `Candidate.override` goes to the options of a run, so
that cells of this version install one of these files, and no other artifact of the version.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import glob
import os
import stat
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from matrix.errors import UnreadableInputError, UsageError, did_you_mean
from matrix.model.index import File, ReleaseFiles
from matrix.planning.versions import TRACER
from matrix.pypi.client import CachedIndex, Index, ReplacingIndex
from matrix.pypi.tags import wheel_tags
from matrix.pypi.wheel_contents import WheelMetadata, read_metadata
from matrix.pypi.wheel_reader import DAMAGE_ERRORS
from matrix.system.paths import cache_dir
from matrix.system.stamps import sha256_of

_CHUNK_BYTES = 1 << 18
_MAX_METADATA_BYTES = 4_000_000
_MAX_UNPACKED_BYTES = 2 * 1024**3
_HINT = "Use --ddtrace VERSION, --wheel FILE (repeatable), or --index-url URL with a version."


class UnusableWheelError(Exception):
    """A file that is not a usable wheel; the message is the reason."""


@dataclasses.dataclass(frozen=True)
class Wheel:
    """A wheel on this machine: canonical `name`, normalized `version`.

    `file` is as an index would list it, with its path on this machine as URL.
    """

    path: Path
    name: str
    version: str
    file: File


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A release of the tracer by its `files`; `wheels` are their paths if they are unpublished.

    `index_url` is the index that has it, "" for the default index. `uploaded` is the time of its
    publication; for an unpublished one the last moment of yesterday, so that dependencies are as of
    today.
    """

    version: str
    files: tuple[File, ...]
    uploaded: dt.datetime
    wheels: tuple[Path, ...] = ()
    index_url: str = ""

    @property
    def release(self) -> ReleaseFiles:
        """Return the candidate as an index would list it."""
        specifiers = sorted({file.requires_python for file in self.files})
        requires = specifiers[0] if len(specifiers) == 1 else ""
        return ReleaseFiles(
            self.version, self.uploaded, yanked=False, requires_python=requires, files=self.files
        )

    @property
    def override(self) -> ReleaseFiles | None:
        """Return the release that a run must use; None for a release of the default index."""
        return self.release if self.wheels or self.index_url else None

    def overlay(self, index: Index) -> Index:
        """Return the index to plan with: `index` with the candidate's own files."""
        return ReplacingIndex(index, TRACER, self.release)


def read_wheel(path: Path, uploaded: dt.datetime) -> Wheel:
    """Return the wheel at an absolute path; raise `UnusableWheelError`."""
    try:
        name, version = parse_wheel_filename(path.name)[:2]
    except InvalidWheelFilename:
        raise UnusableWheelError("invalid wheel file name") from None
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # nobody may ever write to a FIFO
            raise UnusableWheelError("it is not a regular file")
        metadata = _metadata(path)
        sha256 = sha256_of(path)
    except OSError as error:
        raise UnusableWheelError(f"cannot read it: {error.strerror or error}") from error
    try:
        same = Version(metadata.version) == version
    except InvalidVersion:
        same = False
    if not same or canonicalize_name(metadata.name) != name:
        raise UnusableWheelError(f"its metadata is of {metadata.name} {metadata.version}")
    file = File(
        filename=path.name,
        url=path.as_uri(),
        sha256=sha256,
        uploaded=uploaded,
        requires_python=metadata.requires_python,
        yanked=False,
        tags=wheel_tags(path.name),
    )
    return Wheel(path, str(name), str(version), file)


def _metadata(path: Path) -> WheelMetadata:
    try:
        with zipfile.ZipFile(path) as archive:
            _read_all(archive)
            members = [
                member
                for member in archive.infolist()
                if member.filename.count("/") == 1
                and member.filename.endswith(".dist-info/METADATA")
            ]
            if len(members) != 1 or members[0].file_size > _MAX_METADATA_BYTES:
                raise UnusableWheelError("it has no usable METADATA")
            return read_metadata(archive.read(members[0]))
    except DAMAGE_ERRORS as error:
        raise UnusableWheelError(f"it is not a zip archive: {error}") from error


def _read_all(archive: zipfile.ZipFile) -> None:
    """Read all members, whose checksums are checked; raise `UnusableWheelError`."""
    if sum(member.file_size for member in archive.infolist()) > _MAX_UNPACKED_BYTES:
        raise UnusableWheelError(f"it would unpack to more than {_MAX_UNPACKED_BYTES >> 20} MB")
    for member in archive.infolist():
        try:
            with archive.open(member) as stream:
                while stream.read(_CHUNK_BYTES):
                    pass
        except DAMAGE_ERRORS as error:  # noqa: PERF203 - it ends the loop
            detail = f"its member {member.filename!r} is damaged: {error}"
            raise UnusableWheelError(detail) from error


def _open_index(url: str) -> Index:
    # A candidate may be uploaded again under the same version: the cache may be outdated.
    return CachedIndex(cache_dir(), url=url, refresh=True)


def candidate_from(  # noqa: PLR0913 - three ways to name a release, and the index
    ddtrace: str,
    wheels: Sequence[Path],
    index_url: str,
    index: Index,
    *,
    open_index: Callable[[str], Index] = _open_index,
    today: dt.date | None = None,
) -> Candidate:
    """Return the candidate that the options name.

    Raises UsageError, UnreadableInputError, and IndexUnavailableError where an index is needed.
    """
    if wheels and index_url:
        raise UsageError("--wheel and --index-url exclude each other", _HINT)
    if ddtrace:
        _check_version(ddtrace)
    if wheels:
        return _from_wheels(ddtrace, wheels, _moment_before(today))
    if not ddtrace:
        raise UsageError("no release to qualify", _HINT)
    return _from_index(ddtrace, index_url, open_index(index_url) if index_url else index, today)


def _moment_before(today: dt.date | None) -> dt.datetime:
    """Return the last moment before `today`: dependencies are resolved as of the day after."""
    day = today or dt.datetime.now(tz=dt.timezone.utc).date()
    midnight = dt.datetime.combine(day, dt.time(), tzinfo=dt.timezone.utc)
    return midnight - dt.timedelta(microseconds=1)


def _check_version(text: str) -> None:
    try:
        Version(text)
    except InvalidVersion:
        raise UsageError(
            f"invalid version {text!r} for --ddtrace (expected e.g. 2.21.12)"
        ) from None


def _from_index(ddtrace: str, index_url: str, index: Index, today: dt.date | None) -> Candidate:
    releases = index.project(TRACER).releases
    version = Version(ddtrace)
    release = next((one for one in releases if Version(one.version) == version), None)
    place = f"on {index_url}" if index_url else "on the package index"
    if release is None:
        hint = did_you_mean(ddtrace, [one.version for one in releases])
        raise UsageError(
            f"{TRACER} {ddtrace} is not {place}{hint}",
            "For an unpublished candidate, use --wheel FILE or --index-url URL.",
        )
    files = tuple(file for file in release.files if file.sha256 and not file.yanked)
    if release.yanked or not files:
        problem = "was yanked" if release.yanked else "has no file with a sha256"
        raise UsageError(f"{TRACER} {release.version} {problem} {place}", _HINT)
    uploaded = release.uploaded or _moment_before(today)
    return Candidate(release.version, files, uploaded, index_url=index_url)


def _from_wheels(ddtrace: str, paths: Sequence[Path], uploaded: dt.datetime) -> Candidate:
    wheels: list[Wheel] = []
    problems: list[str] = []
    for path in _expand(paths):
        try:
            wheels.append(read_wheel(path, uploaded))
        except UnusableWheelError as error:  # noqa: PERF203 - all problems are reported at once
            problems.append(f"{path}: {error}")
    problems += _mismatches(wheels, ddtrace)
    if problems or not wheels:
        lines = "\n".join(f"  {problem}" for problem in problems or ["no such file"])
        raise UnreadableInputError(
            f"these wheels are not one release of {TRACER}:\n{lines}",
            "All wheels must be files of one version.",
        )
    files = tuple(wheel.file for wheel in wheels)
    return Candidate(wheels[0].version, files, uploaded, tuple(wheel.path for wheel in wheels))


def _expand(paths: Iterable[Path]) -> list[Path]:
    """Return the paths, with globs that no shell has expanded."""
    expanded: dict[Path, None] = {}
    for path in paths:
        # Not `Path.exists`, which raises OSError for a name that is too long.
        there = os.path.exists(path)  # noqa: PTH110
        names = [path] if there else map(Path, sorted(glob.glob(str(path))))  # noqa: PTH207 - of any folder
        expanded.update(dict.fromkeys(name.resolve() for name in list(names) or [path]))
    return list(expanded)


def _mismatches(wheels: Sequence[Wheel], ddtrace: str) -> list[str]:
    problems = [f"{wheel.path}: it is of {wheel.name}" for wheel in wheels if wheel.name != TRACER]
    own = [wheel for wheel in wheels if wheel.name == TRACER]
    expected = ddtrace or (own[0].version if own else "")
    source = "--ddtrace says" if ddtrace else f"{own[0].path.name} is of" if own else ""
    problems += [
        f"{wheel.path}: it is of version {wheel.version}, {source} {expected}"
        for wheel in own
        if Version(wheel.version) != Version(expected)
    ]
    by_name: dict[str, Wheel] = {}
    for wheel in own:
        first = by_name.setdefault(wheel.path.name, wheel)
        if first.file.sha256 != wheel.file.sha256:
            problems.append(f"{wheel.path}: another file than {first.path}, with the same name")
    return problems
