"""Ctrl-C, SIGTERM and kill -9 of a whole run, as another process sees them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from matrix.system.paths import project_root

if sys.platform == "win32":
    pytest.skip("it needs signals", allow_module_level=True)

from helpers.processes import gone
from helpers.run_fakes import MINIMUM
from helpers.worker_jobs import process_ids, until

from matrix.errors import ExitCode
from matrix.runs.journal import Journal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")

# One cell ends, the next one hangs with a child of its own.
_RUN = """
import sys
from pathlib import Path
sys.path[:0] = {paths!r}
from helpers.worker_jobs import ScriptedWork
from helpers.run_fakes import BEFORE, MINIMUM, PROBES, FakeEnvironments, part, claim, plan
from matrix.runs.result_store import CaptureStore
from matrix.runs.journal import Journal, lock_results
from matrix.runs.scheduler import Scheduler
from matrix.runs.events import VerdictReached
from matrix.runs.result_store import ResultStore
from matrix.runs.run import exit_code, stopping
from matrix.runs.interface import RunContext, SystemClock
from matrix.runs.workers import Workers


def make_job(request):
    return request.key if request.planned.cell.id == MINIMUM else "hang"


def emit(event):
    if isinstance(event, VerdictReached):
        print(event.verdict.outcome.value, event.verdict.reason, flush=True)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    first, second = claim(1), claim(2)
    parts = [
        part(first, before=None, controls=()),
        part(second, minimum=BEFORE, before=None, controls=()),
    ]
    of = plan([first, second], parts, cells=(MINIMUM, BEFORE), fallbacks=())
    with lock_results(folder):
        journal = Journal(folder / "journal.jsonl")
        captures = CaptureStore(folder / "captures")
        store = ResultStore(journal, captures, "code", "judge")
        workers = Workers(ScriptedWork(folder), make_job, count=1, limit=lambda _: 60)
        context = RunContext(FakeEnvironments(ready=True), workers, SystemClock(), jobs=1)
        scheduler = Scheduler(of, PROBES, context, store, emit)
        with stopping(scheduler.stop):
            record = scheduler.run()
        journal.close()
    sys.exit(exit_code(record, strict=False))
"""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    tests = project_root() / "tests"
    script = tmp_path / "run.py"
    script.write_text(_RUN.format(paths=[str(tests), str(tests.parent)]))
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        until((tmp_path / "pids").exists)
        yield process
        if process.poll() is None:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_run_ends_its_children_keeps_what_is_done_and_says_what_it_knows(
    run: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    # As a terminal does: the whole foreground group gets it.
    os.killpg(run.pid, number) if number is signal.SIGINT else run.send_signal(number)
    out, err = run.communicate(timeout=30)
    assert run.returncode == ExitCode.INTERRUPTED
    assert out.splitlines() == ["confirmed None", "unverified Reason.INTERRUPTED"]
    assert "what is done is kept" in err
    until(lambda: all(gone(pid) for pid in process_ids(tmp_path)))
    entries = Journal(tmp_path / "journal.jsonl").read().entries.values()
    assert [entry.cell for entry in entries] == [MINIMUM]
    assert not (tmp_path / "run.pid").exists()


def test_kill_9_loses_only_what_was_in_flight_and_leaves_nothing_behind(
    run: subprocess.Popen[str], tmp_path: Path
) -> None:
    run.kill()
    run.wait(30)
    until(lambda: all(gone(pid) for pid in process_ids(tmp_path)))
    reading = Journal(tmp_path / "journal.jsonl").read()
    assert [entry.cell for entry in reading.entries.values()] == [MINIMUM]
    assert not reading.remarks
