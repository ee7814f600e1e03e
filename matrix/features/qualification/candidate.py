"""The release that is to qualify: one of the index, or files that are not published.

`Candidate.index_over` is the index to plan with; `Candidate.given` goes to a run's options, so that
cells of this version have one of these files installed, and never another artifact of the version.

A wheel that is a file here: what its name and its metadata say, and its sha256.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import glob
import hashlib
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from matrix.errors import UnreadableInputError, UsageError, did_you_mean
from matrix.model.index import File, ReleaseFiles
from matrix.planning.versions import TRACER
from matrix.pypi.client import CachedIndex
from matrix.pypi.index import Index, ReplacingIndex
from matrix.pypi.tags import wheel_tags
from matrix.pypi.wheel_contents import WheelMetadata, read_metadata
from matrix.system.paths import cache_dir

__all__ = ["Candidate", "UnusableWheelError", "Wheel", "candidate_from", "read_wheel"]

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


def _metadata(path: Path) -> WheelMetadata:
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


_HINT = (
    "Give --ddtrace VERSION, --wheel FILE (any number of times), or --index-url URL with a version."
)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A release of the tracer, by its `files`; `wheels` are their paths where they were given so.

    `index_url` is the index that has it, "" for the usual one. `uploaded` is when it was published;
    what nobody published has the last moment of yesterday: dependencies are then as of today.
    """

    version: str
    files: tuple[File, ...]
    uploaded: dt.datetime
    wheels: tuple[Path, ...] = ()
    index_url: str = ""

    @property
    def release(self) -> ReleaseFiles:
        """Return it as an index would list it."""
        said = sorted({file.requires_python for file in self.files})
        requires = said[0] if len(said) == 1 else ""
        return ReleaseFiles(
            self.version, self.uploaded, yanked=False, requires_python=requires, files=self.files
        )

    @property
    def given(self) -> ReleaseFiles | None:
        """Return what a run must be told; None for a release that the usual index has."""
        return self.release if self.wheels or self.index_url else None

    def index_over(self, index: Index) -> Index:
        """Return the index to plan with: `index`, where the candidate is what it is here."""
        return ReplacingIndex(index, TRACER, self.release)


def _elsewhere(url: str) -> Index:
    # A candidate is uploaded again under the same version: what was known of it may be old.
    return CachedIndex(cache_dir(), url=url, refresh=True)


def candidate_from(  # noqa: PLR0913 - three ways to name one, and the world
    ddtrace: str,
    wheels: Sequence[Path],
    index_url: str,
    index: Index,
    *,
    elsewhere: Callable[[str], Index] = _elsewhere,
    today: dt.date | None = None,
) -> Candidate:
    """Return the candidate that the options name.

    Raises UsageError and UnreadableInputError, and IndexUnavailableError where an index is asked.
    """
    if wheels and index_url:
        raise UsageError("--wheel and --index-url exclude each other", _HINT)
    if ddtrace:
        _check_version(ddtrace)
    if wheels:
        return _of_wheels(ddtrace, wheels, _before(today))
    if not ddtrace:
        raise UsageError("no release is named", _HINT)
    return _published(ddtrace, index_url, elsewhere(index_url) if index_url else index, today)


def _before(today: dt.date | None) -> dt.datetime:
    """Return the last moment before `today`: resolving begins on the day after."""
    day = today or dt.datetime.now(tz=dt.timezone.utc).date()
    midnight = dt.datetime.combine(day, dt.time(), tzinfo=dt.timezone.utc)
    return midnight - dt.timedelta(microseconds=1)


def _check_version(text: str) -> None:
    try:
        Version(text)
    except InvalidVersion:
        raise UsageError(f"--ddtrace {text!r} is no version", "Such as 2.21.12.") from None


def _published(ddtrace: str, index_url: str, index: Index, today: dt.date | None) -> Candidate:
    releases = index.project(TRACER).releases
    own = [each for each in releases if Version(each.version) == Version(ddtrace)]
    where = "there" if index_url else "on the package index"
    if not own:
        hint = did_you_mean(ddtrace, [each.version for each in releases])
        raise UsageError(
            f"{TRACER} {ddtrace} is not {where}{hint}",
            "A candidate that is not published: --wheel FILE, or --index-url URL.",
        )
    release = own[0]
    files = tuple(file for file in release.files if file.sha256 and not file.yanked)
    if release.yanked or not files:
        what = "was yanked" if release.yanked else "has no file with a sha256"
        raise UsageError(f"{TRACER} {release.version} {what} {where}", _HINT)
    uploaded = release.uploaded or _before(today)
    return Candidate(release.version, files, uploaded, index_url=index_url)


def _of_wheels(ddtrace: str, given: Sequence[Path], uploaded: dt.datetime) -> Candidate:
    read = [_read(path) for path in _expanded(given)]
    wheels = [each for each in read if isinstance(each, Wheel)]
    problems = [each for each in read if isinstance(each, str)]
    problems += _differing(wheels, ddtrace)
    if problems or not wheels:
        told = "\n".join(f"  {each}" for each in problems or ["no file is named so"])
        raise UnreadableInputError(
            f"these wheels are not one release of {TRACER}:\n{told}",
            "All wheels of one call are files of one version of it.",
        )
    files = tuple(each.as_file(uploaded) for each in wheels)
    return Candidate(wheels[0].version, files, uploaded, tuple(each.path for each in wheels))


def _read(path: Path) -> Wheel | str:
    """Return the wheel, or a sentence that says why it is none."""
    try:
        return read_wheel(path)
    except UnusableWheelError as error:
        return f"{path}: {error}"


def _expanded(given: Iterable[Path]) -> list[Path]:
    """Return the paths, with globs that no shell took care of."""
    found: dict[Path, None] = {}
    for path in given:
        some = [path] if path.exists() else [Path(each) for each in sorted(glob.glob(str(path)))]  # noqa: PTH207 - of any folder
        found.update(dict.fromkeys(each.resolve() for each in some or [path]))
    return list(found)


def _differing(wheels: Sequence[Wheel], ddtrace: str) -> list[str]:
    problems = [f"{each.path}: it is of {each.name}" for each in wheels if each.name != TRACER]
    own = [each for each in wheels if each.name == TRACER]
    wanted = ddtrace or (own[0].version if own else "")
    whose = "--ddtrace says" if ddtrace else f"{own[0].path.name} is of" if own else ""
    problems += [
        f"{each.path}: it is of version {each.version}, {whose} {wanted}"
        for each in own
        if Version(each.version) != Version(wanted)
    ]
    by_name: dict[str, Wheel] = {}
    for each in own:
        first = by_name.setdefault(each.path.name, each)
        if first.sha256 != each.sha256:
            problems.append(f"{each.path}: another file than {first.path}, of the same name")
    return problems
