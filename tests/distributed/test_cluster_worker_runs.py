"""The runs of a worker, and the cells that it runs for them."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers.cluster_fakes import SOURCES, VERSION, local_context, open_run, worker_run
from helpers.run_fakes import (
    BEFORE,
    CONTROL,
    MINIMUM,
    PROBES,
    FakeClock,
    FakeEnvironments,
    FakeRunner,
    capture,
    failed,
    image,
    planned,
)

from matrix.cli.worker import open_worker_run
from matrix.distributed.dask.interface import CellTask, TaskTemplate
from matrix.distributed.dask.worker_run import WorkerRun, WorkerRuns, worker_folder
from matrix.model.environment import Environment
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.planning.locations import Targets
from matrix.runs.backend import RunBackend
from matrix.runs.interface import CellResult, RunContext
from matrix.runs.keys import base_key, environment_text, result_key
from matrix.runs.setup import RunOptions

NOTHING: frozenset[str] = frozenset()
SECONDS = 30.0
CELL = planned(MINIMUM)


def until(condition: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(3000):
        if condition():
            return
        waiting.wait(0.01)
    raise AssertionError("timeout")


def run_in_thread(run: WorkerRun, cell: PlannedCell = CELL) -> Future[CellResult]:
    future: Future[CellResult] = Future()
    thread = threading.Thread(target=lambda: future.set_result(run.run(cell, NOTHING)), daemon=True)
    thread.start()
    return future


def test_a_cell_runs_once_for_all_requests() -> None:
    runner = FakeRunner(lambda _cell, _key: None)
    with contextlib.closing(open_run(local_context(runner))) as run:
        first = run_in_thread(run)
        until(lambda: bool(runner.hanging))
        assert run.busy
        second = run_in_thread(run)
        cell, key, running = runner.hanging.pop()
        running.set_result(CellResult(capture(cell, key)))
        assert first.result(SECONDS) is second.result(SECONDS)
        # A request just after the end gets the same result: the first may be lost on its way.
        assert run.run(CELL, NOTHING) is first.result()
        assert runner.ran == [MINIMUM]
        assert not run.busy


def test_base_and_key_are_those_of_a_run_on_this_machine() -> None:
    with contextlib.closing(worker_run({MINIMUM: "blocked"}, engine="docker")) as run:
        result = run.run(CELL, NOTHING)
    environment = FakeEnvironments()._make(CELL)
    base = base_key(CELL, environment_text(environment), SOURCES)
    assert result.base == base
    assert result.capture is not None
    assert result.capture.key == result_key(base, CELL, PROBES)
    assert result.capture.engine == "docker"


def test_a_known_result_is_not_computed_again() -> None:
    environments = FakeEnvironments()
    base = base_key(CELL, environment_text(environments._make(CELL)), SOURCES)
    runner = FakeRunner(capture)
    with contextlib.closing(open_run(local_context(runner, environments))) as run:
        assert run.run(CELL, frozenset({base, "another"})) == CellResult(None, base)
        assert runner.ran == []
        environments.image = image()
        assert run.run(planned(BEFORE), frozenset({base})).capture is not None


def test_a_build_that_is_known_to_fail_is_not_tried() -> None:
    environments = FakeEnvironments({MINIMUM: Reason.BUILD_FAILED})
    base = base_key(CELL, f"failed name of {MINIMUM}", SOURCES)
    with contextlib.closing(worker_run({}, environments)) as run:
        assert run.run(CELL, frozenset({base})) == CellResult(None, base)
        assert environments.built == []


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (Reason.BUILD_FAILED, f"failed name of {MINIMUM}"),
        (Reason.NO_INTERPRETER, "none: no-interpreter"),
    ],
)
def test_a_cell_without_an_environment_has_the_reason(reason: Reason, words: str) -> None:
    with contextlib.closing(worker_run({}, FakeEnvironments({MINIMUM: reason}))) as run:
        result = run.run(CELL, NOTHING)
    assert result.base == base_key(CELL, words, SOURCES)
    assert result.capture is not None
    assert result.capture.failed is reason
    assert result.capture.key
    assert result.capture.started


def test_an_unexpected_error_is_a_result() -> None:
    with contextlib.closing(worker_run({})) as run:  # whose runner raises KeyError
        result = run.run(CELL, NOTHING)
    assert result.capture is not None
    assert result.capture.failed is Reason.INTERNAL_ERROR
    assert "KeyError" in result.capture.detail


def test_cells_outside_containers_have_no_engine() -> None:
    class Instead(FakeEnvironments):
        def _make(self, planned: PlannedCell) -> Environment:
            return dataclasses.replace(super()._make(planned), instead="no-image: runs here")

    with contextlib.closing(worker_run({MINIMUM: "blocked"}, Instead(), "docker")) as run:
        result = run.run(CELL, NOTHING)
    assert result.notice == "no-image: runs here"
    assert result.capture is not None
    assert result.capture.engine == ""


def test_closing_a_run_removes_its_folder(tmp_path: Path) -> None:
    folders = []

    def open_context(folder: Path) -> object:
        folders.append(folder)
        (folder / "scratch").mkdir()
        return local_context(FakeRunner(capture))(folder)

    run = WorkerRun(tmp_path, open_context, SOURCES, PROBES)  # type: ignore[arg-type]
    assert folders[0].is_dir()
    run.close()
    assert not folders[0].exists()


def task(cell: str = MINIMUM, run: str = "one", version: str = VERSION) -> CellTask:
    return CellTask(run, version, planned(cell), NOTHING, RunOptions(jobs=2))


class FakeWorker:
    """A worker's runs, with the calls that they made."""

    def __init__(self, runner: FakeRunner) -> None:
        self.runner = runner
        self.opened: list[str] = []
        self.left: list[str] = []
        self.runs = WorkerRuns(VERSION, self._open, self._leave)

    def _open(self, task: CellTask) -> WorkerRun:
        self.opened.append(task.run)
        return open_run(local_context(self.runner))

    def _leave(self, detail: str) -> None:
        self.left.append(detail)
        self.runs.left.set()


def capturing_runner() -> FakeRunner:
    return FakeRunner(capture)


def test_each_run_is_opened_once() -> None:
    worker = FakeWorker(capturing_runner())
    with contextlib.closing(worker.runs):
        for run, cell in (("one", MINIMUM), ("one", BEFORE), ("two", CONTROL)):
            assert worker.runs.run(task(cell, run)).capture is not None
    assert worker.opened == ["one", "two"]
    assert worker.runs.active == 0


def test_another_version_of_the_project_is_refused() -> None:
    worker = FakeWorker(capturing_runner())
    with pytest.raises(ValueError, match="start it again"):
        worker.runs.run(task(version="fedcba98"))
    assert worker.opened == []


def test_the_end_of_a_run_ends_only_its_own_cells() -> None:
    worker = FakeWorker(FakeRunner(lambda _cell, _key: None))
    future: Future[CellResult] = Future()
    threading.Thread(target=lambda: future.set_result(worker.runs.run(task())), daemon=True).start()
    until(lambda: bool(worker.runner.hanging))
    assert worker.runs.active == 1
    worker.runs.end("another")
    assert not worker.runner.killed.is_set()
    worker.runs.end("one")
    result = future.result(SECONDS)
    assert result.capture is not None
    assert result.capture.failed is Reason.INTERRUPTED
    # What Dask had in its queue comes late, and begins nothing.
    late = worker.runs.run(task(BEFORE))
    assert late.capture is not None
    assert late.capture.failed is Reason.INTERRUPTED
    assert worker.runner.ran == [MINIMUM]


def test_a_worker_that_has_left_opens_nothing() -> None:
    worker = FakeWorker(capturing_runner())
    worker.runs.close()
    result = worker.runs.run(task())
    assert result.capture is not None
    assert result.capture.failed is Reason.INTERRUPTED
    assert worker.opened == []


def test_idle_runs_are_closed() -> None:
    worker = FakeWorker(capturing_runner())
    with contextlib.closing(worker.runs):
        worker.runs.run(task())
        worker.runs.close_idle(3600.0)
        worker.runs.run(task(BEFORE))
        assert worker.opened == ["one"]
        worker.runs.close_idle(-1.0)
        worker.runs.run(task(CONTROL))
        assert worker.opened == ["one", "one"]


def test_a_worker_that_loses_its_engine_leaves() -> None:
    lost = FakeRunner(lambda cell, key: failed(cell, Reason.ENGINE_LOST, key))
    worker = FakeWorker(lost)
    with contextlib.closing(worker.runs):
        worker.runs.run(task())
    assert worker.left == ["it failed"]


def test_folders_of_killed_workers_are_removed_and_others_stay(tmp_path: Path) -> None:
    (tmp_path / "left" / "run-1").mkdir(parents=True)
    with worker_folder(tmp_path) as first:
        assert [first] == folders(tmp_path)
        with worker_folder(tmp_path) as second:
            assert {first, second} == set(folders(tmp_path))
        assert [first] == folders(tmp_path)
    assert folders(tmp_path) == []


def folders(parent: Path) -> list[Path]:
    return [path for path in parent.iterdir() if path.is_dir()]


def test_workers_that_start_at_once_keep_their_folders(tmp_path: Path) -> None:
    barrier, count = threading.Barrier(6), range(6)

    def begin(_number: int) -> bool:
        undisturbed = True
        for _ in range(10):
            barrier.wait(SECONDS)
            with worker_folder(tmp_path) as folder:
                (folder / "scratch").mkdir()
                barrier.wait(SECONDS)
                undisturbed &= (folder / "scratch").is_dir() and (folder / "run.lock").exists()
        return undisturbed

    with ThreadPoolExecutor(len(count)) as workers:
        assert list(workers.map(begin, count)) == [True for _ in count]
    assert folders(tmp_path) == []


@pytest.mark.parametrize(("engine", "falls_back"), [("docker", False), ("auto", True)])
def test_a_run_that_requires_containers_does_not_fall_back(
    tmp_path: Path, engine: str, *, falls_back: bool
) -> None:
    opened_for = []

    def open_world(
        _folder: Path, _options: RunOptions, _probes: object, backend: RunBackend
    ) -> contextlib.AbstractContextManager[RunContext]:
        opened_for.append(backend.falls_back)
        return contextlib.nullcontext(
            RunContext(FakeEnvironments(), capturing_runner(), FakeClock())
        )

    template = TaskTemplate(
        "one", VERSION, RunOptions(jobs=2), engine, frozenset(), lambda _planned: NOTHING
    )
    backend = RunBackend(Targets("docker", ("linux_x86_64",)), falls_back=True)
    task = template.task(CELL)
    with contextlib.closing(open_worker_run(task, backend, 1, tmp_path, open_world=open_world)):
        assert opened_for == [falls_back]
