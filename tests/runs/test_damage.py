"""Damage to any file that a run leaves behind: no traceback, no other verdict without a word."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import gzip
import json
import random
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from helpers.environment_fakes import INTERPRETER, REQUIREMENTS, FakeInstaller, store_with
from helpers.planning_fixture import world
from helpers.run_fakes import PROBES, FakeClock, FakeRunner, plan
from helpers.scheduler_runs import SchedulerRun, responses

from matrix.errors import IndexUnavailableError, UserError
from matrix.interpreters.inspect import InterpreterCache
from matrix.model.environment import Environment
from matrix.model.index import Project
from matrix.model.verdict import Verdict
from matrix.pypi.cache import dump_project
from matrix.pypi.client import CachedIndex
from matrix.reporting.html import render_page
from matrix.reporting.html_evidence import digest_capture
from matrix.reporting.json import json_text, record_to_json
from matrix.runs.events import WarningRaised
from matrix.runs.journal import Journal
from matrix.runs.record import CellRecord, Record
from matrix.runs.record_store import RecordStore
from matrix.runs.result_store import CaptureStore
from matrix.runs.run import rejudge

FLIPS, CUTS = 200, 60
ALL_FLIPS, ALL_CUTS = 20_000, 2_000
_ANSWER: dict[str, Any] = {
    **dict.fromkeys(("implementation", "version", "build", "platform", "machine", "libc"), "x"),
    "bits": 64,
    "free_threaded": False,
}


class RecordedRun:
    """A results folder and a cache as a run leaves them, and the readers of all their files.

    A reader returns what it has told. It raises AssertionError where it has read something else
    than before without a word.
    """

    def __init__(self, folder: Path) -> None:
        self.results, self.cache = folder / "results", folder / "cache"
        made = SchedulerRun(self.results, FakeRunner(responses())).run()
        text = json_text(record_to_json(made))
        self.records = RecordStore(self.results / "records")
        self.records.write(text, made.run.started)
        self.record = self.records.latest()
        self.page = self._page(self.record)
        now = dt.datetime.now(tz=dt.timezone.utc)
        self.project = dataclasses.replace(world().project("flask"), fetched=now)
        path = CachedIndex(self.cache, url="https://index.example").path("flask")
        path.parent.mkdir(parents=True)
        path.write_text(dump_project(self.project), encoding="utf-8")
        self.interpreter = folder / "python3.9"
        self.interpreter.write_text("x")
        cache = InterpreterCache(self.cache / "interpreters.json")
        cache.query(self.interpreter, lambda _: _ANSWER)
        cache.save()
        self.installer = FakeInstaller()
        store_with(self.cache, self.installer).ensure(INTERPRETER, REQUIREMENTS)
        time.sleep(0.12)  # longer than two changes of a file may have one time
        self.environment = store_with(self.cache, self.installer).ensure(INTERPRETER, REQUIREMENTS)
        self.content = {path: path.read_bytes() for path in self._files()}

    def _files(self) -> Iterator[Path]:
        for root in (self.results, self.cache):
            for path in sorted(root.rglob("*")):
                # Empty files are locks, and bin/python; an empty file cannot be damaged.
                if path.is_file() and path.stat().st_size:
                    yield path

    def restore(self) -> None:
        """Undo all damage, and what the readers have written."""
        for path in list(self._files()):
            if path not in self.content:
                path.unlink()
        for path, content in self.content.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_bytes() != content:
                path.write_bytes(content)

    def readers(self, path: Path) -> list[Callable[[], list[str]]]:
        """Return the readers of a file."""
        parts = path.relative_to(self.results.parent).parts
        if parts[:2] == ("results", "records"):
            return [self.read_record]
        if parts[0] == "results":
            return [self.rejudge, self.run, self.render]
        if parts[1] == "index":
            return [self.read_index]
        if parts[1] == "environments":
            return [self.read_environment]
        return [self.read_interpreters]

    def run(self) -> list[str]:
        again = SchedulerRun(self.results, FakeRunner(responses()))
        verdicts = again.run().verdicts
        assert verdicts == self.record.verdicts, "whatever is damaged runs again"
        told = [event.message for event in again.events if isinstance(event, WarningRaised)]
        return told + [f"ran again: {cell}" for cell in again.runner.ran]

    def rejudge(self) -> list[str]:
        record = rejudge(
            plan(),
            PROBES,
            journal=Journal(self.results / "journal.jsonl"),
            captures=CaptureStore(self.results / "captures"),
            clock=FakeClock(),
            emit=lambda _event: None,
        )
        return self._told(record.verdicts, record.run.warnings)

    def _told(self, verdicts: tuple[Verdict, ...], warnings: tuple[str, ...]) -> list[str]:
        assert verdicts == self.record.verdicts or warnings, "another verdict without a word"
        return list(warnings)

    def render(self) -> list[str]:
        captures = CaptureStore(self.results / "captures")
        page = self._page(self.record, captures)
        assert page == self.page or captures.notices, "another page without a word"
        return captures.notices

    def _page(self, record: Record, captures: CaptureStore | None = None) -> str:
        store = captures or CaptureStore(self.results / "captures")

        def digest(cell: CellRecord) -> Mapping[str, object] | None:
            capture = store.read(cell.id, cell.key, named=True)
            return digest_capture(capture) if capture else None

        return render_page(record, digest)

    def read_record(self) -> list[str]:
        try:
            record = self.records.latest()
        except UserError as error:
            return [error.message]
        assert record == self.record
        return []

    def read_index(self) -> list[str]:
        index = CachedIndex(self.cache, url="https://index.example", offline=True)
        try:
            project: Project = index.project("flask")
        except IndexUnavailableError as error:
            return [error.message, *index.notices]
        assert project == self.project
        return index.notices

    def read_interpreters(self) -> list[str]:
        cache = InterpreterCache(self.cache / "interpreters.json")
        asked: list[Path] = []

        def query(path: Path) -> dict[str, Any]:
            asked.append(path)
            return _ANSWER

        assert cache.query(self.interpreter, query) == _ANSWER
        assert bool(asked) == bool(cache.problem)
        return [cache.problem] if asked else []

    def read_environment(self) -> list[str]:
        before = self.installer.built
        made: Environment = store_with(self.cache, self.installer).ensure(INTERPRETER, REQUIREMENTS)
        assert made == self.environment
        rebuilt = self.installer.built - before
        assert rebuilt or made.folder is not None
        for path, content in self.content.items():
            if path.is_relative_to(self.cache / "environments" / "envs"):
                assert path.read_bytes() == content, "not what was built"
        return [*made.notices, *(["built again"] * rebuilt)]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> RecordedRun:
    return RecordedRun(tmp_path_factory.mktemp("damage"))


def damage(run: RecordedRun, path: Path, content: bytes) -> list[str]:
    """Return what is told of a file with another content; undo it."""
    path.write_bytes(content)
    try:
        return [told for read in run.readers(path) for told in read()]
    finally:
        run.restore()


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_what_is_whole_is_read_without_a_word(recorded: RecordedRun) -> None:
    for path, content in recorded.content.items():
        assert damage(recorded, path, content) == [], path


def test_a_flipped_bit_changes_nothing_without_a_word(
    recorded: RecordedRun, request: pytest.FixtureRequest
) -> None:
    count = ALL_FLIPS if request.config.getoption("--damage") else FLIPS
    chance = random.Random(14)  # noqa: S311 - the same each time
    files = sorted(recorded.content)
    silent = []
    for number in range(count):
        path = files[number % len(files)]
        bit = chance.randrange(8 * len(recorded.content[path]))
        damaged = flipped(recorded.content[path], bit)
        if not damage(recorded, path, damaged) and not same(damaged, recorded.content[path]):
            silent.append((path.relative_to(recorded.cache.parent).as_posix(), bit // 8))
    # Locks of earlier versions have no digest: where its name is damaged it is taken for another
    # field.
    locks = "cache/environments/locks/"
    assert [item for item in silent if not (item[0].startswith(locks) and item[1] < 10)] == []


def same(content: bytes, other: bytes) -> bool:
    """Return whether two compressed files have one content: nothing depends on gzip's time."""
    with contextlib.suppress(OSError, EOFError, zlib.error):
        return gzip.decompress(content) == gzip.decompress(other)
    return False


def test_a_cut_changes_nothing_without_a_word(
    recorded: RecordedRun, request: pytest.FixtureRequest
) -> None:
    count = ALL_CUTS if request.config.getoption("--damage") else CUTS
    chance = random.Random(14)  # noqa: S311 - the same each time
    files = sorted(recorded.content)
    for number in range(count):
        path = files[number % len(files)]
        content = recorded.content[path]
        cut = 0 if number < len(files) else chance.randrange(len(content))
        assert damage(recorded, path, content[:cut]), (path, cut)


def test_a_line_of_deep_brackets_is_skipped(recorded: RecordedRun) -> None:
    path = recorded.results / "journal.jsonl"
    told = damage(recorded, path, b"[" * 200_000 + b"\n" + recorded.content[path])
    assert any(":1: skipped" in text for text in told)


def test_a_result_is_judged_again_from_its_capture(recorded: RecordedRun) -> None:
    path = recorded.results / "journal.jsonl"
    told = damage(recorded, path, recorded.content[path].replace(b"present", b"absent", 1))
    assert not any("ran again" in text for text in told)
    assert any("judged again" in text for text in told)
    assert json.loads(recorded.content[path].splitlines()[0])["schema"] == 3
