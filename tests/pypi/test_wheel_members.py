"""Single members of wheels, from an index and a file server of our own making."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import os
from collections.abc import Iterator

import pytest
from helpers.wheel_files import Files, serving, wheel

from matrix.model.index import Project, ReleaseFiles
from matrix.pypi.remote_file import BadArtifactError, WheelLimits
from matrix.pypi.wheel_members import MemberPin, fetch_member

NAME = "demo-1.0-py3-none-any.whl"
PROGRAM = b"\x7fELF" + os.urandom(100_000)
OTHER = os.urandom(3_000_000)
CONTENT = wheel({"a/other": OTHER, "a/program": PROGRAM, "b/other": OTHER[::-1]})


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


PIN = MemberPin("demo", "1.0", digest(CONTENT), "a/program", digest(PROGRAM))


@dataclasses.dataclass
class OneRelease:
    """An index of one release with one wheel."""

    files: Files

    def project(self, name: str) -> Project:
        file = self.files.add(NAME, self.files.content.get(f"/{NAME}", CONTENT), digest(CONTENT))
        release = ReleaseFiles("1.0", None, yanked=False, requires_python="", files=(file,))
        return Project(name, dt.datetime.now(dt.timezone.utc), (release,))


@pytest.fixture
def files() -> Iterator[Files]:
    with serving() as files:
        yield files


def test_only_the_part_with_the_member_is_fetched(files: Files) -> None:
    assert fetch_member(PIN, OneRelease(files)) == PROGRAM
    spans = [span.split("-") for span in files.ranges]
    fetched = sum(int(last) - int(first or 0) + 1 for first, last in spans)
    assert fetched < len(CONTENT) // 4


def test_a_server_without_ranges_sends_the_whole_wheel_which_is_checked(files: Files) -> None:
    files.fault = "no ranges"
    assert fetch_member(PIN, OneRelease(files)) == PROGRAM
    files.content[f"/{NAME}"] = CONTENT[:-1] + b"?"
    with pytest.raises(BadArtifactError, match="sha256 is not the one on the index"):
        fetch_member(PIN, OneRelease(files))


@pytest.mark.parametrize(
    ("pin", "words"),
    [
        (dataclasses.replace(PIN, sha256="0" * 64), "the sha256 of a/program is"),
        (dataclasses.replace(PIN, member="a/missing"), "no member a/missing"),
        (dataclasses.replace(PIN, wheel="0" * 64), "no file of it with the sha256 000"),
        (dataclasses.replace(PIN, version="2.0"), "no file of it"),
    ],
)
def test_what_is_not_pinned_is_refused(files: Files, pin: MemberPin, words: str) -> None:
    with pytest.raises(BadArtifactError, match=words):
        fetch_member(pin, OneRelease(files))


def test_a_member_beyond_the_limits_is_refused(files: Files) -> None:
    with pytest.raises(BadArtifactError, match="would unpack to"):
        fetch_member(PIN, OneRelease(files), WheelLimits(member=1000))


def test_a_damaged_archive_is_refused(files: Files) -> None:
    files.content[f"/{NAME}"] = b"no archive" * 100_000
    with pytest.raises(BadArtifactError, match="not a whole zip archive"):
        fetch_member(PIN, OneRelease(files))
