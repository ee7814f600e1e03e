"""Simple-index answers, HTML or JSON, to files.

https://packaging.python.org/en/latest/specifications/simple-repository-api/

Files to releases, ascending as versions order.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterable
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from packaging.utils import canonicalize_name
from packaging.version import Version

from matrix.model.index import File, Project, ReleaseFiles
from matrix.pypi.tags import split_filename, wheel_tags

__all__ = ["BadAnswerError", "build_project", "parse_html", "parse_json", "parse_time"]


class BadAnswerError(Exception):
    """The index answered, but not with what a project's page is."""


def parse_time(text: str | None) -> dt.datetime | None:
    """Return the time (UTC) of `2023-02-15T17:04:01.123Z`, None where there is none."""
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
    """Return the files that an HTML page links to; `url` is the page's own.

    Raises `BadAnswerError` for a page that was cut off.
    """
    lowered_tail = text[-4096:].lower()
    if "<html" in text[:4096].lower() and "</html" not in lowered_tail:
        raise BadAnswerError("the page ends early (no </html>)")
    reader = _Links(url)
    reader.feed(text)
    reader.close()
    _check_version(reader.version)
    return reader.files


def parse_json(text: str, url: str) -> list[File]:
    """Return the files of a JSON answer (PEP 691, with PEP 700's upload times)."""
    try:
        data = json.loads(text)
        _check_version(str(data.get("meta", {}).get("api-version", "")))
        return [_json_file(item, url) for item in data["files"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadAnswerError(f"not the JSON of a project's page ({error})") from error


def _check_version(said: str) -> None:
    """Refuse another major version than the one that is read here.

    https://packaging.python.org/en/latest/specifications/simple-repository-api/#versioning-pypi-s-simple-api
    """
    if said and said.partition(".")[0] != "1":
        raise BadAnswerError(
            f"it speaks version {said[:20]} of the simple API, and 1.x is read here"
        )


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


class _Links(HTMLParser):
    """Collects `<a href>`; the attributes tell all, the text is not needed."""

    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self.files: list[File] = []
        self.version = ""
        self._url = url

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "meta" and given.get("name") == "pypi:repository-version":
            self.version = given.get("content") or ""
        if tag == "base" and given.get("href"):
            self._url = urljoin(self._url, str(given["href"]))
        href = given.get("href") if tag == "a" else None
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
                uploaded=parse_time(given.get("data-upload-time")),
                requires_python=given.get("data-requires-python") or "",
                yanked="data-yanked" in given,
                tags=wheel_tags(filename),
            )
        )


def build_project(name: str, files: Iterable[File], fetched: dt.datetime) -> Project:
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


def _release(version: str, files: list[File]) -> ReleaseFiles:
    times = [file.uploaded for file in files if file.uploaded is not None]
    usable = [file for file in files if not file.yanked] or files
    said = sorted({file.requires_python for file in usable})
    return ReleaseFiles(
        version=version,
        uploaded=min(times) if times else None,
        yanked=all(file.yanked for file in files),
        requires_python=said[0] if len(said) == 1 else "",
        files=tuple(sorted(files, key=lambda file: file.filename)),
    )
