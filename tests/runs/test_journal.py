"""The journal survives being cut anywhere; results are keyed by all that can change them."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from helpers.run_fakes import (
    CONTROL,
    MINIMUM,
    PROBE,
    PROBES,
    FakeRunner,
    capture,
    failed,
    planned,
    probe,
)
from helpers.scheduler_runs import SchedulerRun, responses
from hypothesis import given
from hypothesis import strategies as st

from matrix.errors import AnotherRunError, StorageError
from matrix.model.cell import Cell
from matrix.model.fact import text_facts
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed
from matrix.runs.journal import Entry, Journal, is_transient, lock_results
from matrix.runs.keys import base_key, judge_key, result_key
from matrix.runs.result_store import CaptureStore
from matrix.system.paths import project_root
from matrix.system.source_files import digest_files
from matrix.system.stamps import stamp


def entry(key: str, detail: str = "") -> Entry:
    facts = text_facts("It crashed — ✓.")
    cell = Cell.parse(MINIMUM)
    finding = Finding(cell, PROBE, "static", Observed.UNKNOWN, facts, Reason.CRASHED)
    return Entry(
        key=key,
        base="base",
        probes={PROBE: "digest"},
        decisive=(PROBE,),
        soak=True,
        cell=MINIMUM,
        reason=None,
        detail=detail,
        started="2026-11-20",
        seconds=1.5,
        transient=False,
        judge="judge",
        findings=(finding,),
    )


def written(path: Path, *entries: Entry) -> None:
    with contextlib.closing(Journal(path)) as journal:
        for item in entries:
            journal.append(item)


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "journal.jsonl"
    written(path, entry("a"), entry("b"))
    reading = Journal(path).read()
    assert list(reading.entries.values()) == [entry("a"), entry("b")]
    assert not reading.remarks


def test_no_journal_is_an_empty_one(tmp_path: Path) -> None:
    assert Journal(tmp_path / "none").read().entries == {}


def test_the_last_of_equal_keys_counts(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    written(path, entry("a", "old"), entry("b"), entry("a", "new"))
    assert {key: item.detail for key, item in Journal(path).read().entries.items()} == {
        "a": "new",
        "b": "",
    }


def test_cut_at_any_byte_only_the_last_entry_is_lost_and_appending_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    written(path, entry("a"), entry("b"))
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        reading = Journal(path).read()
        complete = (["a"] if cut >= first else []) + (["b"] if cut == len(whole) else [])
        assert list(reading.entries) == complete, cut
        assert bool(reading.remarks) == (cut not in {0, first, len(whole)}), cut
        written(path, entry("c"))
        after = Journal(path).read()
        assert list(after.entries) == [*complete, "c"], cut
        assert not after.remarks, cut


@given(st.binary(max_size=60))
def test_lines_of_garbage_are_skipped_and_named(garbage: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        written(path, entry("a"))
        line = garbage.replace(b"\n", b" ").strip() or b"x"
        path.write_bytes(path.read_bytes() + line + b"\n")
        written(path, entry("b"))
        reading = Journal(path).read()
    assert list(reading.entries) == ["a", "b"]
    (remark,) = reading.remarks
    assert ":2:" in remark


def test_an_entry_of_another_schema_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text(stamp(json.dumps({**entry("a").to_json(), "schema": 99})) + "\n")
    reading = Journal(path).read()
    assert not reading.entries
    assert "99" in reading.remarks[0]


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    link = tmp_path / "journal"
    link.symlink_to(full)
    journal = Journal(link)
    with pytest.raises(StorageError, match="No space left"):
        journal.append(entry("a"))
    journal.close()  # what was not taken is not tried again


def test_captures_come_back_whole(tmp_path: Path) -> None:
    store = CaptureStore(tmp_path)
    path = store.write(capture(MINIMUM, "key"))
    assert path == tmp_path / MINIMUM / "key.json.gz"
    again = store.read(MINIMUM, "key")
    assert again is not None
    assert again.processes == capture(MINIMUM, "key").processes
    assert again == capture(MINIMUM, "key")
    assert [item.name for item in path.parent.iterdir()] == ["key.json.gz"]


def test_what_a_line_names_is_on_the_disk_before_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux names open files")
    synced: list[str] = []
    fsync = os.fsync

    def record(number: int) -> None:
        synced.append(Path(f"/proc/self/fd/{number}").readlink().name.partition(".")[0])
        fsync(number)

    monkeypatch.setattr(os, "fsync", record)
    SchedulerRun(tmp_path, FakeRunner(responses())).run()
    first = synced.index("journal")
    capture_of = synced[: first - 1]
    assert len(capture_of[0]) == 64, "the capture"
    assert capture_of[1].startswith("cp39-linux_x86_64-django3"), "its name in the folder"
    assert "captures" in capture_of, "and the folder's"
    second = synced.index("journal", first + 1)
    assert len(synced[first + 1]) == 64
    assert second == first + 4


def test_a_capture_that_is_not_whole_is_none(tmp_path: Path) -> None:
    store = CaptureStore(tmp_path)
    path = store.write(capture(MINIMUM, "key"))
    data = path.read_bytes()
    for cut in range(0, len(data), 7):
        path.write_bytes(data[:cut])
        assert store.read(MINIMUM, "key") is None
    path.unlink()
    assert store.read(MINIMUM, "key") is None


@pytest.mark.parametrize(
    ("reason", "again"),
    [
        (Reason.TIMED_OUT, True),
        (Reason.AGENT_FAILED, True),
        (Reason.INTERRUPTED, True),
        (Reason.DISK_FULL, True),
        (Reason.INDEX_UNAVAILABLE, True),
        (Reason.BUILD_FAILED, False),
        (Reason.CRASHED, False),
        (Reason.WRONG_INSTALL, False),
    ],
)
def test_only_reasons_of_the_moment_are_tried_again(reason: Reason, *, again: bool) -> None:
    assert is_transient(failed(MINIMUM, reason)) is again
    whole = capture(MINIMUM)
    all_so = tuple(dataclasses.replace(item, failed=reason) for item in whole.processes)
    assert is_transient(dataclasses.replace(whole, processes=all_so)) is again


def test_a_time_limit_that_spares_the_other_processes_of_the_cell_tells_of_the_release() -> None:
    whole = capture(MINIMUM)
    late = dataclasses.replace(whole.processes[0], failed=Reason.TIMED_OUT)
    one_of_two = dataclasses.replace(whole, processes=(late, whole.processes[1]))
    assert not is_transient(one_of_two)
    assert is_transient(dataclasses.replace(one_of_two, failed=Reason.TIMED_OUT))


def test_one_run_at_a_time_and_the_other_is_named(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from matrix.runs.journal import lock_results\n"
        "with lock_results(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=project_root(),
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(AnotherRunError, match=f"process {other.pid}"), lock_results(tmp_path):
            pass
        other.kill()
        other.wait()
        with lock_results(tmp_path):
            assert (tmp_path / "run.pid").exists()


def test_a_result_key_moves_with_everything_that_can_change_the_result(tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text("1")
    sources = digest_files([tmp_path])
    base = planned(MINIMUM)

    def key(
        of: PlannedCell = base,
        environment: str = "env",
        code: str = sources,
        probes: Mapping[str, Probe] = PROBES,
    ) -> str:
        return result_key(base_key(of, environment, code), of, probes)

    assert key() == key(planned(MINIMUM), "env", digest_files([tmp_path]), {PROBE: probe()})
    app.write_text("2")
    others = [
        key(planned(CONTROL)),
        key(environment="other"),
        key(code=digest_files([tmp_path])),
        key(probes={PROBE: probe(control=None)}),
        key(dataclasses.replace(base, soak=False)),
        key(dataclasses.replace(base, decisive=())),
        key(dataclasses.replace(base, probes=())),
        key(dataclasses.replace(base, repeats=2)),
        key(dataclasses.replace(base, repeats=3)),
        key(dataclasses.replace(base, as_of=dt.date(2020, 1, 1))),
    ]
    assert len({key(), *others}) == len(others) + 1


@pytest.mark.parametrize(
    ("probes", "decisive", "soak", "answered"),
    [
        ({PROBE: "digest"}, (PROBE,), True, True),
        ({PROBE: "digest"}, (), False, True),
        ({}, (), False, True),
        ({PROBE: "another"}, (), False, False),
        ({PROBE: "digest", "sca": "digest"}, (), False, False),
        ({PROBE: "digest"}, ("sca",), False, False),
    ],
)
def test_a_result_answers_whoever_asks_for_less_of_the_same(
    probes: dict[str, str], decisive: tuple[str, ...], *, soak: bool, answered: bool
) -> None:
    assert entry("a").answers(probes, decisive, soak=soak) is answered
    unsoaked = dataclasses.replace(entry("a"), soak=False)
    assert unsoaked.answers(probes, decisive, soak=soak) is (answered and not soak)


def test_a_result_answers_whoever_asks_for_fewer_repeats() -> None:
    once, thrice = entry("a"), dataclasses.replace(entry("a"), repeats=3)
    assert Entry.from_json(thrice.to_json()) == thrice
    assert "repeats" not in once.to_json()
    for repeats in (1, 2, 3, 4):
        assert thrice.answers({}, (), soak=False, repeats=repeats) is (repeats <= 3)
        assert once.answers({}, (), soak=False, repeats=repeats) is (repeats == 1)


def test_the_judge_key_moves_with_the_evidence(tmp_path: Path) -> None:
    sources = digest_files([tmp_path])
    assert judge_key(sources, PROBES) == judge_key(sources, {PROBE: probe()})
    assert judge_key(sources, PROBES) != judge_key(sources, {PROBE: probe(control=None)})


def test_sources_do_not_depend_on_what_python_leaves_behind(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("1")
    before = digest_files([tmp_path])
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "app.cpython-311.pyc").write_bytes(b"x")
    assert digest_files([tmp_path]) == before
