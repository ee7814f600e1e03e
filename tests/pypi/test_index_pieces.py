"""Tests of file names, the cached form on disk, and the choice of the index."""

from __future__ import annotations

import dataclasses
import datetime as dt
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.model.index import File, Project, ReleaseFiles
from matrix.pypi.cache import dump_project, load_project
from matrix.pypi.client import index_url
from matrix.pypi.tags import split_filename, wheel_tags


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"PIP_INDEX_URL": "https://a.example/simple/"}, "https://a.example/simple"),
        (
            {"PIP_INDEX_URL": "https://a.example", "UV_DEFAULT_INDEX": "x=https://b.example/s"},
            "https://b.example/s",
        ),
        ({"UV_INDEX_URL": "https://c.example/?a=b"}, "https://c.example/?a=b"),
    ],
)
def test_the_index_is_the_one_of_the_users_tools(environ: dict[str, str], url: str) -> None:
    assert index_url(environ) == url


def test_without_a_word_of_the_user_it_is_the_public_one() -> None:
    url = urlsplit(index_url({}))
    assert (url.scheme, url.path) == ("https", "/simple")


@pytest.mark.parametrize(
    ("filename", "project", "version", "tags"),
    [
        ("Flask-0.10.tar.gz", "flask", "0.10", ""),
        ("mysql-connector-python-8.0.1.zip", "mysql-connector-python", "8.0.1", ""),
        ("mysql-connector-8.0.1.zip", "mysql-connector-python", None, ""),
        ("demo-1.0-1-py3-none-any.whl", "demo", "1.0", "py3-none-any"),
        ("my_demo-1.0-py2.py3-none-any.whl", "my-demo", "1.0", "py2.py3-none-any"),
        ("demo-1.0_local-py3-none-any.whl", "demo", "1.0+local", "py3-none-any"),
        ("demo-1.0-py2.7.egg", "demo", None, ""),
        ("demo-1.0.win32.exe", "demo", None, ""),
        ("demo-nightly.tar.gz", "demo", None, ""),
        ("demo.whl", "demo", None, ""),
    ],
)
def test_file_names(filename: str, project: str, version: str | None, tags: str) -> None:
    assert split_filename(filename, project) == version
    assert wheel_tags(filename) == tags


names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
moments = st.none() | st.datetimes(
    min_value=dt.datetime(2005, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    timezones=st.just(dt.timezone.utc),
)


@st.composite
def files(draw: st.DrawFn) -> File:
    filename = draw(names.filter(lambda name: not set(name) & set("/?#%"))) + ".tar.gz"
    return File(
        filename=filename,
        url=draw(st.sampled_from(["https://a.example/p/", "https://b.example/%7C|^/"])) + filename,
        sha256=draw(st.sampled_from(["", "0a"])),
        uploaded=draw(moments),
        requires_python=draw(st.sampled_from(["", ">=3.7", "<2|^%7C"])),
        yanked=draw(st.booleans()),
        tags=wheel_tags(filename),
    )


@settings(deadline=None)
@given(st.lists(st.tuples(st.lists(files(), max_size=4), moments, st.booleans()), max_size=4))
def test_what_is_packed_is_read_back(
    given_releases: list[tuple[list[File], dt.datetime | None, bool]],
) -> None:
    project = Project(
        "demo",
        dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc),
        tuple(
            ReleaseFiles(f"1.{number}", uploaded, yanked, "", tuple(found))
            for number, (found, uploaded, yanked) in enumerate(given_releases)
        ),
    )
    again, etag, modified = load_project(dump_project(project, '"e"', "m").encode())
    assert (etag, modified) == ('"e"', "m")
    assert [tuple(release.files) for release in again.releases] == [
        release.files for release in project.releases
    ]
    assert [dataclasses.replace(release, files=()) for release in again.releases] == [
        dataclasses.replace(release, files=()) for release in project.releases
    ]
