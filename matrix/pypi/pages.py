"""Parser of simple-index pages, HTML or JSON, to the releases of a project.

https://packaging.python.org/en/latest/specifications/simple-repository-api/
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from packaging.utils import canonicalize_name
from packaging.version import Version

from matrix.model.index import File, Project, ReleaseFiles
from matrix.pypi.tags import split_filename, wheel_tags


class BadAnswerError(Exception):
    """The answer is not the page of a project."""


def parse_time(text: str | None) -> dt.datetime | None:
    """Return the UTC time of `2023-02-15T17:04:01.123Z`, None for an invalid or missing one."""
    if not text:
        return None
    try:
        # `fromisoformat` reads neither `Z` nor other than 3 or 6 digits before CPython 3.11.
        plain = text.rstrip("Z").split("+")[0]
        whole, _, fraction = plain.partition(".")
        moment = dt.datetime.fromisoformat(whole).replace(tzinfo=dt.timezone.utc)
        return moment + dt.timedelta(microseconds=int((fraction + "000000")[:6]))
    except ValueError:
        return None


def parse_html(text: str, url: str) -> list[File]:
    """Return the files that an HTML page links to; `url` is the page's address.

    Raises `BadAnswerError` for a truncated page.
    """
    if "<html" in text[:4096].lower() and "</html" not in text[-4096:].lower():
        raise BadAnswerError("the page is truncated (no </html>)")
    parser = _LinkParser(url)
    parser.feed(text)
    parser.close()
    _check_version(parser.version)
    return parser.files


def parse_json(text: str, url: str) -> list[File]:
    """Return the files of a JSON answer (PEP 691, with PEP 700's upload times)."""
    try:
        data = json.loads(text)
        _check_version(str(data.get("meta", {}).get("api-version", "")))
        return [_json_file(item, url) for item in data["files"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadAnswerError(f"not the JSON of a project's page ({error})") from error


def _check_version(version: str) -> None:
    """Raise BadAnswerError for another major version than 1.

    https://packaging.python.org/en/latest/specifications/simple-repository-api/#versioning-pypi-s-simple-api
    """
    if version and version.partition(".")[0] != "1":
        raise BadAnswerError(f"unsupported version {version[:20]} of the simple API (expected 1.x)")


def _json_file(item: Any, page: str) -> File:  # noqa: ANN401 - JSON from the network
    yanked = item.get("yanked", False)
    return File(
        filename=str(item["filename"]),
        url=urljoin(page, str(item["url"])),
        sha256=str(item.get("hashes", {}).get("sha256", "")),
        uploaded=parse_time(item.get("upload-time")),
        requires_python=str(item.get("requires-python") or ""),
        yanked=isinstance(yanked, str) or bool(yanked),
        tags=wheel_tags(str(item["filename"])),
    )


class _LinkParser(HTMLParser):
    """Collector of `<a href>`, which needs their attributes only."""

    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self.files: list[File] = []
        self.version = ""
        self._url = url

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "meta" and values.get("name") == "pypi:repository-version":
            self.version = values.get("content") or ""
        if tag == "base" and values.get("href"):
            self._url = urljoin(self._url, str(values["href"]))
        href = values.get("href") if tag == "a" else None
        if not href:
            return
        address, fragment = urldefrag(href)
        if "://" not in address:
            address = urljoin(self._url, address)
        filename = unquote(urlsplit(address).path.rpartition("/")[2])
        if not filename:
            return
        self.files.append(
            File(
                filename=filename,
                url=address,
                sha256=fragment[7:] if fragment.startswith("sha256=") else "",
                uploaded=parse_time(values.get("data-upload-time")),
                requires_python=values.get("data-requires-python") or "",
                yanked="data-yanked" in values,
                tags=wheel_tags(filename),
            )
        )


def build_project(name: str, files: Iterable[File], fetched: dt.datetime) -> Project:
    """Return the project with its releases, ascending; files of other projects are left out.

    Raises `BadAnswerError` where no file is left: a login page, a wrong address, a partial answer.
    """
    project = str(canonicalize_name(name))
    spellings: dict[Version, Counter[str]] = defaultdict(Counter)
    grouped: dict[Version, list[File]] = defaultdict(list)
    for file in files:
        spelling = split_filename(file.filename, project)
        if spelling is None:
            continue
        version = Version(spelling)
        spellings[version][spelling] += 1
        grouped[version].append(file)
    if not grouped:
        raise BadAnswerError("the page lists no file of the project")
    # The most common spelling of each version, of equals the first.
    texts = {
        version: max(sorted(names), key=names.__getitem__) for version, names in spellings.items()
    }
    releases = tuple(_release(texts[version], grouped[version]) for version in sorted(grouped))
    return Project(name=project, fetched=fetched, releases=releases)


def _release(version: str, files: list[File]) -> ReleaseFiles:
    times = [file.uploaded for file in files if file.uploaded is not None]
    return ReleaseFiles(
        version=version,
        uploaded=min(times) if times else None,
        yanked=all(file.yanked for file in files),
        requires_python=requirement_of(files),
        files=tuple(sorted(files, key=lambda file: file.filename)),
    )


def requirement_of(files: Sequence[File]) -> str:
    """Return the `Requires-Python` of a release, "" where its usable files do not agree."""
    usable = [file for file in files if not file.yanked] or files
    required = {file.requires_python for file in usable}
    return required.pop() if len(required) == 1 else ""
