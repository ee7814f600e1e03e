"""The files of a release that promise something: its metadata, and the registry if it has one.

They are read from one of the release's wheels with few requests, and cached by its digest.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path

from packaging.version import InvalidVersion, Version

from matrix.errors import IndexUnavailableError, UsageError, storage_errors
from matrix.model.index import File
from matrix.pypi.client import Index
from matrix.pypi.remote_file import (
    BadArtifactError,
    HttpTransport,
    RemoteFile,
    Transport,
    WheelLimits,
)
from matrix.pypi.wheel_reader import WheelArchive
from matrix.system.files import write_atomic

_METADATA = re.compile(r"[^/]+\.dist-info/METADATA|[^/]+\.egg-info/PKG-INFO|PKG-INFO")
_REGISTRY = re.compile(r"(?:.*/)?(?:registry\.ya?ml|supported_versions\w*\.(?:json|csv))")
_FOLDERS = ("", "ddtrace/contrib/integration_registry", "scripts/integration_registry")
_MAX_BYTES = 5_000_000


def folder_documents(folder: Path) -> list[Path]:
    """Return the metadata and the registry's files of a checkout, source tree or site-packages.

    Raises UsageError where there is none.
    """
    found = [
        path
        for name in _FOLDERS
        for path in sorted((folder / name).glob("*"))
        if path.is_file() and _REGISTRY.fullmatch(path.name)
    ]
    found += sorted(folder.glob("ddtrace-*.dist-info/METADATA"))
    found += sorted([*folder.glob("PKG-INFO"), *folder.glob("ddtrace.egg-info/PKG-INFO")])
    if not found:
        raise UsageError(
            f"{folder} has neither metadata of ddtrace nor its registry",
            "Pass a checkout of ddtrace, or the site-packages that it is installed in.",
        )
    return found


def release_documents(
    index: Index,
    requirement: str,
    cache_dir: Path,
    *,
    offline: bool = False,
    transport: Transport | None = None,
) -> list[Path]:
    """Return the cached files of a release such as `ddtrace==4.16.0`.

    Raises UsageError for another requirement or a release that does not exist, and
    IndexUnavailableError where it is not cached and cannot be fetched.
    """
    name, equals, written = (part.strip() for part in requirement.partition("=="))
    if name != "ddtrace" or not equals:
        raise UsageError(
            f"neither a folder nor a release of ddtrace: {requirement!r}",
            "Pass, for example, ddtrace==4.16.0, or a folder with ddtrace.",
        )
    wheel, version = _wheel(index, written)
    folder = cache_dir / "release-documents" / wheel.sha256
    if not (folder / "complete").is_file():
        if offline:
            raise IndexUnavailableError(
                f"{wheel.filename} is not cached", "Run the command once without --offline."
            )
        _fetch(wheel, f"ddtrace-{version}", folder, transport)
    return sorted(path for path in folder.iterdir() if path.name != "complete")


def _wheel(index: Index, written: str) -> tuple[File, str]:
    """Return the wheel of a release to read: one for Linux where there is any."""
    try:
        version = Version(written)
    except InvalidVersion:
        raise UsageError(f"invalid version {written!r}", "Pass, e.g., ddtrace==4.16.0.") from None
    project = index.project("ddtrace")
    found = [item for item in project.releases if Version(item.version) == version]
    wheels = [file for item in found for file in item.files if file.tags]
    if not wheels:
        newest = project.releases[-1].version if project.releases else "none"
        raise UsageError(
            f"the index has no wheel of ddtrace {written}", f"The newest release is {newest}."
        )
    return max(wheels, key=_preference), found[0].version


def _preference(file: File) -> tuple[bool, bool, str]:
    return "manylinux" in file.tags, "x86_64" in file.tags, file.filename


def _fetch(wheel: File, name: str, folder: Path, transport: Transport | None) -> None:
    limits = WheelLimits()
    with contextlib.ExitStack() as stack:
        if transport is None:
            transport = stack.enter_context(contextlib.closing(HttpTransport()))
        try:
            stream = RemoteFile(wheel.url, wheel.filename, transport, limits, wheel.sha256)
            archive = WheelArchive(stream, wheel.filename, limits)
            members = [
                archive.members[path]
                for path in archive.members
                if _METADATA.fullmatch(path) or _REGISTRY.fullmatch(path)
            ]
            contents = {
                _file_name(name, member.filename): archive.read(member)
                for member in members
                if member.file_size <= _MAX_BYTES
            }
        except BadArtifactError as error:
            raise IndexUnavailableError(
                f"{wheel.filename} cannot be read: {error.detail}", "Try again later."
            ) from error
    with storage_errors(f"cannot write {folder}", "Check the disk and the cache's permissions."):
        for file, data in contents.items():
            write_atomic(folder / file, data)
        write_atomic(folder / "complete", b"")


def _file_name(release: str, member: str) -> str:
    last = member.rpartition("/")[2]
    return f"{release}-{last}" if "." in last else f"{release}-{last}.txt"


def documents_from(
    index: Index, sources: Sequence[str], cache_dir: Path, *, offline: bool = False
) -> list[Path]:
    """Return the files of each source: a folder, or a release such as `ddtrace==4.16.0`."""
    return [
        path
        for source in sources
        for path in (
            folder_documents(Path(source))
            if Path(source).is_dir()
            else release_documents(index, source, cache_dir, offline=offline)
        )
    ]
