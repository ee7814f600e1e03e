"""Cached form of a project on disk, and what changed since the answer before.

A big project has 47,000 files, and a plan looks at few of them: the files of a release are one
string, which is parsed at the first access.

Indexes do delete releases (a withdrawn upload, a mirror that lags). A deleted release cannot be
installed, so it is no release of the project any more, but it is remembered as vanished.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import json
from collections.abc import Iterator, Sequence
from typing import Any, overload
from urllib.parse import unquote, urlsplit

from packaging.version import Version

from matrix.model.index import File, Project, ReleaseFiles
from matrix.pypi.tags import wheel_tags
from matrix.system.stamps import stamp, unstamp

FORMAT = "index/1"  # of the content; the digest before it makes older files unusable
_FIELD, _FILE = "|", "^"


class PackedFiles(Sequence[File]):
    """The files of one release, parsed at the first access."""

    def __init__(self, text: str, base: str) -> None:
        self._text = text
        self._base = base

    @functools.cached_property
    def _files(self) -> tuple[File, ...]:
        rows = self._text.split(_FILE) if self._text else []
        return tuple(_unpack(row, self._base) for row in rows)

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[File]:
        return iter(self._files)

    @overload
    def __getitem__(self, index: int) -> File: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[File, ...]: ...
    def __getitem__(self, index: int | slice) -> File | tuple[File, ...]:
        return self._files[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._files == tuple(other)

    def __hash__(self) -> int:
        return hash(self._files)


def dump_project(project: Project, etag: str = "", modified: str = "") -> str:
    """Return the text that `load_project` reads, with its digest.

    `etag` and `modified` are from the headers.
    """
    releases = (*project.releases, *project.vanished)
    base = _common_base([file.url for release in releases for file in release.files])
    data = {
        "format": FORMAT,
        "name": project.name,
        "fetched": project.fetched.isoformat(),
        "etag": etag,
        "modified": modified,
        "base": base,
        "releases": [_row(release, base) for release in project.releases],
        "vanished": [_row(release, base) for release in project.vanished],
    }
    return stamp(json.dumps(data, separators=(",", ":")))


def load_project(content: bytes) -> tuple[Project, str, str]:
    """Return the project, its etag and modification mark; raise ValueError for other contents.

    Without a digest, as earlier versions wrote it, raises UnstampedError.
    """
    try:
        data: dict[str, Any] = json.loads(unstamp(content))
        if data["format"] != FORMAT:
            raise ValueError(f"not {FORMAT}")
        base = data["base"]
        project = Project(
            name=data["name"],
            fetched=dt.datetime.fromisoformat(data["fetched"]),
            releases=tuple(_release(row, base) for row in data["releases"]),
            vanished=tuple(_release(row, base) for row in data.get("vanished", ())),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a cached project: {error}") from error
    return project, data["etag"], data["modified"]


def _row(release: ReleaseFiles, base: str) -> list[str | int]:
    return [
        release.version,
        _stamp(release.uploaded),
        int(release.yanked),
        release.requires_python,
        _FILE.join(_pack(file, base) for file in release.files),
    ]


def _release(row: Sequence[Any], base: str) -> ReleaseFiles:
    version, uploaded, yanked, requires, files = row
    return ReleaseFiles(
        version, _moment(uploaded), bool(yanked), requires, PackedFiles(files, base)
    )


def _common_base(urls: Sequence[str]) -> str:
    if not urls:
        return ""
    low, high = min(urls), max(urls)
    size = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    return low[: low.rfind("/", 0, size) + 1]


def _pack(file: File, base: str) -> str:
    url_name = _filename(file.url)
    fields = (
        file.url[len(base) :],
        "" if url_name == file.filename else file.filename,
        file.sha256,
        _stamp(file.uploaded),
        file.requires_python,
        "y" if file.yanked else "",
    )
    return _FIELD.join(_escape(field) for field in fields)


def _unpack(row: str, base: str) -> File:
    fields = row.split(_FIELD)
    if "%" in row:
        fields = [_unescape(field) for field in fields]
    url, filename, sha256, uploaded, requires, yanked = fields
    url = base + url
    filename = filename or _filename(url)
    return File(
        filename, url, sha256, _moment(uploaded), requires, bool(yanked), wheel_tags(filename)
    )


def _filename(url: str) -> str:
    if "%" not in url and "?" not in url:
        return url.rpartition("/")[2]
    return unquote(urlsplit(url).path.rpartition("/")[2])


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace(_FIELD, "%7C").replace(_FILE, "%5E")


def _unescape(text: str) -> str:
    return text.replace("%5E", _FILE).replace("%7C", _FIELD).replace("%25", "%")


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_MICROSECOND = dt.timedelta(microseconds=1)


def _stamp(moment: dt.datetime | None) -> str:
    """Return microseconds since 1970 (exact, where a float would round)."""
    return "" if moment is None else str((moment - _EPOCH) // _MICROSECOND)


def _moment(stamp: str) -> dt.datetime | None:
    return _EPOCH + int(stamp) * _MICROSECOND if stamp else None


_MAX_NAMES = 5


@dataclasses.dataclass(frozen=True)
class IndexChange:
    """Differences to the answer before.

    `gone` are releases without any file left, `files` vanished from releases that still have
    others, and `replaced` are files with another hash than before.
    """

    gone: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()

    def messages(self, name: str) -> tuple[str, ...]:
        """Return messages for the user about project `name`."""
        changes = (
            (self.gone, f"the index no longer lists these releases of {name}"),
            (self.files, f"the index no longer lists these files of {name}"),
            (self.replaced, f"these files of {name} have another hash than before"),
        )
        return tuple(f"{text}: {_join_names(names)}" for names, text in changes if names)


def carry_over(old: Project | None, new: Project) -> tuple[Project, IndexChange]:
    """Return the new answer with the files that vanished since the old one, and what changed.

    Files that had vanished before and are listed again count as listed.
    """
    if old is None:
        return new, IndexChange()
    listed = {file.filename: file for release in new.releases for file in release.files}
    versions = {Version(release.version) for release in new.releases}
    vanished: dict[Version, ReleaseFiles] = {}
    for release in (*old.vanished, *old.releases):
        missing = [file for file in release.files if file.filename not in listed]
        if missing:
            version = Version(release.version)
            before = vanished[version].files if version in vanished else ()
            files = {file.filename: file for file in (*before, *missing)}
            vanished[version] = dataclasses.replace(release, files=tuple(files.values()))
    gone, fewer, replaced = [], [], []
    for release in old.releases:
        if Version(release.version) not in versions:
            gone.append(release.version)
        else:
            fewer += [file.filename for file in release.files if file.filename not in listed]
        replaced += [file.filename for file in release.files if _differs(file, listed)]
    remembered = tuple(vanished[version] for version in sorted(vanished))
    return (
        dataclasses.replace(new, vanished=remembered),
        IndexChange(tuple(gone), tuple(fewer), tuple(replaced)),
    )


def _differs(old: File, listed: dict[str, File]) -> bool:
    new = listed.get(old.filename)
    return new is not None and bool(old.sha256 and new.sha256) and old.sha256 != new.sha256


def _join_names(names: tuple[str, ...]) -> str:
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
