"""Tests of the inspection of remote wheels: fetched in parts, once, and each on its own."""

from __future__ import annotations

import functools
import io
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.wheel_files import Files, elf, serving, wheel
from hypothesis import given
from hypothesis import strategies as st

from matrix.model.index import File
from matrix.pypi.inspect import SharedResults, WheelCache, inspect_wheel
from matrix.pypi.remote_file import (
    BadArtifactError,
    FileChunk,
    HttpTransport,
    RemoteFile,
    WheelLimits,
)
from matrix.pypi.wheel_batches import WheelInspection, inspect_wheels

NAME = "demo-1.0-cp39-cp39-manylinux2014_x86_64.whl"
NOISE = random.Random(7).randbytes(3 << 20)  # noqa: S311 - incompressible test data


@pytest.fixture
def files() -> Iterator[Files]:
    with serving() as served:
        yield served


@pytest.fixture
def transport() -> Iterator[HttpTransport]:
    opened = HttpTransport(wait_seconds=0.001)
    yield opened
    opened.close()


@functools.cache
def big_wheel() -> bytes:
    return wheel(
        {
            "demo/__init__.py": "import six\n",
            "demo/_big.so": elf() + NOISE,
            "demo/lib.so": elf("aarch64", ("libc.so.6",)),
        }
    )


def test_only_the_parts_that_matter_are_fetched(
    files: Files, transport: HttpTransport, tmp_path: Path
) -> None:
    content = big_wheel()
    result = inspect_wheels([files.add(NAME, content)], WheelCache(tmp_path), transport)
    assert not result.refused
    (found,) = result.contents
    assert {library.path: (library.machines, library.needed) for library in found.libraries} == {
        "demo/_big.so": (("x86_64",), None),
        "demo/lib.so": (("aarch64",), ("libc.so.6",)),
    }
    assert [item.module for item in found.modules[0].imports] == ["six"]
    assert result.fetched < len(content) / 4
    assert all(files.ranges)


def test_a_library_that_counts_is_read_to_its_end(
    files: Files, transport: HttpTransport, tmp_path: Path
) -> None:
    file = files.add(NAME, big_wheel())
    (found,) = inspect_wheels([file], WheelCache(tmp_path), transport, whole=["*/_big*"]).contents
    assert [library.needed for library in found.libraries] == [(), ("libc.so.6",)]


def test_a_second_run_asks_nothing(files: Files, transport: HttpTransport, tmp_path: Path) -> None:
    file = files.add(NAME, big_wheel())
    first = inspect_wheels([file], WheelCache(tmp_path), transport)
    files.ranges.clear()
    second = inspect_wheels([file], WheelCache(tmp_path), transport)
    assert second.contents == first.contents
    assert second.fetched == 0
    assert not files.ranges


def test_wheels_of_a_release_share_the_files_that_are_equal() -> None:
    shared = SharedResults()
    one, other = (
        inspect_wheel(
            f"demo-1.0-{number}.whl",
            "",
            io.BytesIO(wheel({"demo/a.py": "import six\n", "demo/b.py": f"import m{number}\n"})),
            shared=shared,
        )
        for number in range(2)
    )
    assert one.modules[0] is other.modules[0]
    names = [item.imports[0].module for each in (one, other) for item in each.modules]
    assert names == ["six", "m0", "six", "m1"]
    assert one.sources != other.sources


def test_progress_counts_what_is_cached(
    files: Files, transport: HttpTransport, tmp_path: Path
) -> None:
    listed = [files.add(NAME, big_wheel()), files.add(NAME.replace("cp39", "cp310"), big_wheel())]
    inspect_wheels(listed[:1], WheelCache(tmp_path), transport)
    done: list[str] = []
    inspect_wheels(listed, WheelCache(tmp_path), transport, report=done.append)
    assert done == [file.filename for file in listed]


def test_damage_in_the_cache_is_mended(
    files: Files, transport: HttpTransport, tmp_path: Path
) -> None:
    file = files.add(NAME, big_wheel())
    first = inspect_wheels([file], WheelCache(tmp_path), transport)
    for path in tmp_path.rglob("*.gz"):
        path.write_bytes(path.read_bytes()[:20])
    assert inspect_wheels([file], WheelCache(tmp_path), transport).contents == first.contents


@pytest.mark.parametrize("fault", ["", "no ranges", "no suffix ranges"])
def test_servers_that_know_fewer_ranges(
    fault: str, files: Files, transport: HttpTransport, tmp_path: Path
) -> None:
    files.fault = fault
    result = inspect_wheels([files.add(NAME, big_wheel())], WheelCache(tmp_path), transport)
    assert len(result.contents) == 1
    assert not result.refused


def test_a_whole_file_must_have_the_hash_of_the_index(
    files: Files, transport: HttpTransport, tmp_path: Path
) -> None:
    files.fault = "no ranges"
    (error,) = inspect_wheels(
        [files.add(NAME, big_wheel(), "0" * 64)], WheelCache(tmp_path), transport
    ).refused
    assert str(error) == f"{NAME}: its sha256 is not the one on the index"


@pytest.mark.parametrize(
    ("fault", "detail"),
    [
        ("garbage", "its sha256 is not the one on the index"),
        ("half-way", "broke off"),
        ("another range", "requested '"),
        ("no range named", "invalid Content-Range"),
        ("endless", "more than"),
    ],
)
def test_bad_answers_are_told_and_what_is_known_stays(
    fault: str, detail: str, files: Files, transport: HttpTransport, tmp_path: Path
) -> None:
    known = files.add(NAME.replace("cp39", "cp310"), big_wheel())
    inspect_wheels([known], WheelCache(tmp_path), transport)
    files.fault = fault
    file = files.add(NAME, wheel({"demo/__init__.py": "import other\n"}))
    limits = WheelLimits(fetched=1 << 20)
    result = inspect_wheels([known, file], WheelCache(tmp_path), transport, limits=limits)
    assert [item.filename for item in result.contents] == [known.filename]
    assert [error.source for error in result.refused] == [NAME]
    assert detail in result.refused[0].detail


def test_one_bad_wheel_does_not_stop_the_others(
    files: Files, transport: HttpTransport, tmp_path: Path
) -> None:
    good = [files.add(f"demo-1.0-cp3{n}-cp3{n}-win32.whl", wheel({})) for n in range(6, 14)]
    bomb = files.add("demo-1.0-cp35-cp35-win32.whl", wheel({"a.so": bytes(8 << 20)}))
    gone = File("demo-1.0-gone-none-any.whl", f"{files.url}/gone", "1", None, "", False, "")
    done: list[str] = []
    result = inspect_wheels(
        [bomb, gone, *good], WheelCache(tmp_path), transport, report=done.append
    )
    assert len(result.contents) == len(good)
    assert [error.source for error in result.refused] == [bomb.filename, gone.filename]
    assert "HTTP 404" in result.refused[1].detail
    assert len(done) == len(good) + 2


def test_no_time_and_no_network(files: Files, transport: HttpTransport, tmp_path: Path) -> None:
    file = files.add(NAME, big_wheel())
    for result in (
        inspect_wheels([file], WheelCache(tmp_path), transport, seconds=0),
        inspect_wheels([file], WheelCache(tmp_path), transport, offline=True),
    ):
        assert result == WheelInspection((), (), (NAME,), 0)
    assert not files.ranges


def test_a_server_that_is_away_is_named_without_its_password(tmp_path: Path) -> None:
    opened = HttpTransport(wait_seconds=0.001)
    url = "http://user:secret@127.0.0.1:9/demo.whl"
    try:
        with pytest.raises(BadArtifactError) as caught:
            opened.get(url, "-10", 100, float("inf"))
    finally:
        opened.close()
    assert "127.0.0.1:9/demo.whl" in str(caught.value)
    assert "secret" not in str(caught.value)


class _Bytes:
    """A transport that serves bytes in memory."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def get(self, url: str, span: str, most: int, deadline: float) -> FileChunk:
        first, _, last = span.partition("-")
        total = len(self.content)
        start = int(first) if first else max(0, total - int(last))
        return FileChunk(start, self.content[start : int(last) + 1 if first else total], total)


@given(
    st.integers(1, 2_000_000),
    st.lists(st.tuples(st.integers(0, 2_100_000), st.integers(0, 400_000)), max_size=8),
)
def test_a_remote_file_reads_as_the_file_does(size: int, reads: list[tuple[int, int]]) -> None:
    content = NOISE[:size]
    with RemoteFile("x", "x", _Bytes(content), WheelLimits()) as file:
        assert file.seek(0, 2) == size
        for at, count in reads:
            file.seek(at)
            assert file.read(count) == content[at : at + count]
