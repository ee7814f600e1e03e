"""Files to releases, ascending as versions order."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable

from packaging.utils import canonicalize_name
from packaging.version import Version

from matrix.index.filenames import split_filename
from matrix.index.pages import BadAnswerError
from matrix.model.index import File, Project, Release

__all__ = ["project_of"]


def project_of(name: str, files: Iterable[File], fetched: dt.datetime) -> Project:
    """Return the project; files that are no distributions of it are not part of it.

    Raises `BadAnswerError` where no file is left: a login page, a wrong address, half an answer.
    """
    project = str(canonicalize_name(name))
    spellings: dict[Version, Counter[str]] = {}
    grouped: dict[Version, list[File]] = {}
    for file in files:
        spelled = split_filename(file.filename, project)
        if spelled is None:
            continue
        version = Version(spelled)
        spellings.setdefault(version, Counter())[spelled] += 1
        grouped.setdefault(version, []).append(file)
    if not grouped:
        raise BadAnswerError("no file of the project is on the page")
    releases = tuple(
        _release(_spelling(spellings[version]), grouped[version]) for version in sorted(grouped)
    )
    return Project(name=project, fetched=fetched, releases=releases)


def _spelling(found: Counter[str]) -> str:
    return min(found, key=lambda text: (-found[text], text))


def _release(version: str, files: list[File]) -> Release:
    times = [file.uploaded for file in files if file.uploaded is not None]
    usable = [file for file in files if not file.yanked] or files
    said = sorted({file.requires_python for file in usable})
    return Release(
        version=version,
        uploaded=min(times) if times else None,
        yanked=all(file.yanked for file in files),
        requires_python=said[0] if len(said) == 1 else "",
        files=tuple(sorted(files, key=lambda file: file.filename)),
    )
