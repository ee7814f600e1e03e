"""Tests of batches of wheels: fetched ahead, in order, and stopped without waiting."""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from helpers.wheel_files import wheel

from matrix.model.index import File
from matrix.pypi.inspect import SharedResults, WheelCache
from matrix.pypi.remote_file import BadArtifactError, FileChunk
from matrix.pypi.wheel_batches import inspect_batches

_SECONDS = 30.0


class _FakeTransport:
    """A transport that serves wheels from memory, after `before` was called with the address."""

    def __init__(self, before: Callable[[str], None]) -> None:
        self._before = before

    def get(self, url: str, span: str, most: int, deadline: float) -> FileChunk:
        self._before(url)
        content = wheel({"demo/__init__.py": f"import m{url}\n"})
        return FileChunk(0, content, len(content))


def _batches(*sizes: int) -> list[list[File]]:
    return [
        [
            File(f"demo-{batch}-{number}.whl", f"_{batch}_{number}", "", None, "", False, "")
            for number in range(size)
        ]
        for batch, size in enumerate(sizes)
    ]


def _names(batches: Sequence[Sequence[File]]) -> list[list[str]]:
    return [[file.filename for file in files] for files in batches]


def test_results_have_the_order_of_the_files_whichever_is_done_first(tmp_path: Path) -> None:
    batches = _batches(3, 2, 4, 1, 2)
    last_is_done = threading.Event()

    def before(url: str) -> None:
        if url == "_0_0":
            assert last_is_done.wait(_SECONDS)
        elif url == "_2_3":
            last_is_done.set()

    found = list(
        inspect_batches(batches, functools.partial(WheelCache, tmp_path), _FakeTransport(before))
    )
    assert [[item.filename for item in each.contents] for each in found] == _names(batches)
    modules = [item.modules[0].imports[0].module for each in found for item in each.contents]
    assert modules == [f"m{file.url}" for files in batches for file in files]


def test_a_wheel_that_fails_stops_no_other_of_any_batch(tmp_path: Path) -> None:
    def before(url: str) -> None:
        if url in {"_0_1", "_2_0"}:
            raise BadArtifactError(url, "HTTP 404")

    done: list[str] = []
    found = list(
        inspect_batches(
            _batches(2, 2, 2),
            functools.partial(WheelCache, tmp_path),
            _FakeTransport(before),
            report=done.append,
        )
    )
    assert [[error.source for error in each.refused] for each in found] == [
        ["demo-0-1.whl"],
        [],
        ["demo-2-0.whl"],
    ]
    assert [len(each.contents) for each in found] == [1, 2, 1]
    assert len(done) == 6


def test_few_batches_are_ahead_of_the_one_that_is_used(tmp_path: Path) -> None:
    requested: set[str] = set()
    inspections = inspect_batches(
        _batches(*[1] * 9), functools.partial(WheelCache, tmp_path), _FakeTransport(requested.add)
    )
    with contextlib.closing(inspections):
        next(inspections)
        assert requested <= {"_0_0", "_1_0", "_2_0"}


@pytest.mark.parametrize("stopped_by", ["close", "Ctrl-C"])
def test_a_stop_waits_for_no_request(stopped_by: str, tmp_path: Path) -> None:
    answer = threading.Event()
    requested: list[str] = []

    def before(url: str) -> None:
        requested.append(url)
        if not url.startswith("_0_"):
            answer.wait(_SECONDS)

    def interrupt(_: str) -> None:
        if stopped_by == "Ctrl-C":
            raise KeyboardInterrupt

    inspections = inspect_batches(
        _batches(1, 40),
        functools.partial(WheelCache, tmp_path),
        _FakeTransport(before),
        report=interrupt,
    )
    try:
        if stopped_by == "Ctrl-C":
            with pytest.raises(KeyboardInterrupt):
                next(inspections)
        else:
            assert len(next(inspections).contents) == 1
        start = time.monotonic()
        inspections.close()
        assert time.monotonic() - start < _SECONDS / 2
    finally:
        answer.set()
    threads = [thread for thread in threading.enumerate() if thread.name == "wheels"]
    for thread in threads:
        thread.join(_SECONDS)
        assert not thread.is_alive()
    assert len(requested) < 41


def test_the_results_used_last_are_kept() -> None:
    shared = SharedResults(most=2)
    calls: list[str] = []

    def once(key: str) -> str:
        def compute() -> str:
            calls.append(key)
            return key

        return shared.once(key, compute)

    assert [once(key) for key in ("a", "b", "a", "c", "a", "b")] == ["a", "b", "a", "c", "a", "b"]
    assert calls == ["a", "b", "c", "b"]
    assert not shared.has("c")
