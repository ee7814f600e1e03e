"""What a worker does with the cells that it is asked for."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers.cluster_fakes import SOURCES, VERSION, opened, station, world_here
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

from matrix.cli.worker import _station
from matrix.distributed.dask.task import Task, TaskTemplate
from matrix.distributed.dask.worker_run import WorkerRun, WorkerRuns, own_folder
from matrix.model.environment import Environment
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.planning.locations import Targets
from matrix.runs.backend import RunBackend
from matrix.runs.failures import words_of
from matrix.runs.interfaces import RemoteResult
from matrix.runs.keys import base_key, result_key
from matrix.runs.scheduler import RunContext
from matrix.runs.setup import SetupOptions

NOTHING: frozenset[str] = frozenset()
SECONDS = 30.0
CELL = planned(MINIMUM)


def until(true: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(3000):
        if true():
            return
        waiting.wait(0.01)
    raise AssertionError("it did not come to that")


def asking(made: WorkerRun, cell: PlannedCell = CELL) -> Future[RemoteResult]:
    future: Future[RemoteResult] = Future()
    thread = threading.Thread(
        target=lambda: future.set_result(made.run(cell, NOTHING)), daemon=True
    )
    thread.start()
    return future


def test_a_cell_is_run_once_for_all_who_ask() -> None:
    runner = FakeRunner(lambda _cell, _key: None)
    with contextlib.closing(opened(world_here(runner))) as made:
        first = asking(made)
        until(lambda: bool(runner.hanging))
        assert made.busy
        second = asking(made)
        cell, key, running = runner.hanging.pop()
        running.set_result(capture(cell, key))
        assert first.result(SECONDS) is second.result(SECONDS)
        # Whoever asks just after it has ended lost the answer on its way.
        assert made.run(CELL, NOTHING) is first.result()
        assert runner.ran == [MINIMUM]
        assert not made.busy


def test_base_and_key_are_those_of_a_run_on_this_machine() -> None:
    with contextlib.closing(station({MINIMUM: "blocked"}, engine="docker")) as made:
        answer = made.run(CELL, NOTHING)
    environment = FakeEnvironments()._make(CELL)
    base = base_key(CELL, words_of(environment), SOURCES)
    assert answer.base == base
    assert answer.capture is not None
    assert answer.capture.key == result_key(base, CELL, PROBES)
    assert answer.capture.engine == "docker"


def test_a_known_result_is_not_made_again() -> None:
    environments = FakeEnvironments()
    base = base_key(CELL, words_of(environments._make(CELL)), SOURCES)
    runner = FakeRunner(capture)
    with contextlib.closing(opened(world_here(runner, environments))) as made:
        assert made.run(CELL, frozenset({base, "another"})) == RemoteResult(base, None)
        assert runner.ran == []
        environments.image = image()
        assert made.run(planned(BEFORE), frozenset({base})).capture is not None


def test_a_build_that_is_known_to_fail_is_not_tried() -> None:
    environments = FakeEnvironments({MINIMUM: Reason.BUILD_FAILED})
    base = base_key(CELL, f"failed name of {MINIMUM}", SOURCES)
    with contextlib.closing(station({}, environments)) as made:
        assert made.run(CELL, frozenset({base})) == RemoteResult(base, None)
        assert environments.built == []


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (Reason.BUILD_FAILED, f"failed name of {MINIMUM}"),
        (Reason.NO_INTERPRETER, "none: no-interpreter"),
    ],
)
def test_a_cell_without_an_environment_says_why(reason: Reason, words: str) -> None:
    with contextlib.closing(station({}, FakeEnvironments({MINIMUM: reason}))) as made:
        answer = made.run(CELL, NOTHING)
    assert answer.base == base_key(CELL, words, SOURCES)
    assert answer.capture is not None
    assert answer.capture.failed is reason
    assert answer.capture.key
    assert answer.capture.started


def test_a_surprise_is_an_answer() -> None:
    with contextlib.closing(station({})) as made:  # whose runner raises KeyError
        answer = made.run(CELL, NOTHING)
    assert answer.capture is not None
    assert answer.capture.failed is Reason.INTERNAL_ERROR
    assert "KeyError" in answer.capture.detail


def test_cells_on_the_machine_itself_say_so() -> None:
    class Instead(FakeEnvironments):
        def _make(self, planned: PlannedCell) -> Environment:
            return dataclasses.replace(super()._make(planned), instead="no-image: runs here")

    with contextlib.closing(station({MINIMUM: "blocked"}, Instead(), "docker")) as made:
        answer = made.run(CELL, NOTHING)
    assert answer.instead == "no-image: runs here"
    assert answer.capture is not None
    assert answer.capture.engine == ""


def test_its_folder_goes_with_it(tmp_path: Path) -> None:
    folders = []

    def opening(folder: Path) -> object:
        folders.append(folder)
        (folder / "scratch").mkdir()
        return world_here(FakeRunner(capture))(folder)

    made = WorkerRun(tmp_path, opening, SOURCES, PROBES)  # type: ignore[arg-type]
    assert folders[0].is_dir()
    made.close()
    assert not folders[0].exists()


def asked(cell: str = MINIMUM, run: str = "one", version: str = VERSION) -> Task:
    return Task(run, version, planned(cell), NOTHING, SetupOptions(2))


class Made:
    """Stations of a worker, and what they are told."""

    def __init__(self, runner: FakeRunner) -> None:
        self.runner = runner
        self.made: list[str] = []
        self.left: list[str] = []
        self.stations = WorkerRuns(VERSION, self._make, self._leave)

    def _make(self, asked: Task) -> WorkerRun:
        self.made.append(asked.run)
        return opened(world_here(self.runner))

    def _leave(self, why: str) -> None:
        self.left.append(why)
        self.stations.left.set()


def observing() -> FakeRunner:
    return FakeRunner(capture)


def test_each_run_has_one_station() -> None:
    worker = Made(observing())
    with contextlib.closing(worker.stations):
        for run, cell in (("one", MINIMUM), ("one", BEFORE), ("two", CONTROL)):
            assert worker.stations.run(asked(cell, run)).capture is not None
    assert worker.made == ["one", "two"]
    assert worker.stations.under_way == 0


def test_another_version_of_the_project_is_refused() -> None:
    worker = Made(observing())
    with pytest.raises(ValueError, match="start it again"):
        worker.stations.run(asked(version="fedcba98"))
    assert worker.made == []


def test_the_end_of_a_run_ends_its_cells_and_nobody_elses() -> None:
    worker = Made(FakeRunner(lambda _cell, _key: None))
    future: Future[RemoteResult] = Future()
    threading.Thread(
        target=lambda: future.set_result(worker.stations.run(asked())), daemon=True
    ).start()
    until(lambda: bool(worker.runner.hanging))
    assert worker.stations.under_way == 1
    worker.stations.end("another")
    assert not worker.runner.killed.is_set()
    worker.stations.end("one")
    answer = future.result(SECONDS)
    assert answer.capture is not None
    assert answer.capture.failed is Reason.INTERRUPTED
    # What Dask had in its queue comes late, and begins nothing.
    late = worker.stations.run(asked(BEFORE))
    assert late.capture is not None
    assert late.capture.failed is Reason.INTERRUPTED
    assert worker.runner.ran == [MINIMUM]


def test_a_worker_that_has_left_opens_nothing() -> None:
    worker = Made(observing())
    worker.stations.close()
    answer = worker.stations.run(asked())
    assert answer.capture is not None
    assert answer.capture.failed is Reason.INTERRUPTED
    assert worker.made == []


def test_what_nobody_asks_any_more_is_put_away() -> None:
    worker = Made(observing())
    with contextlib.closing(worker.stations):
        worker.stations.run(asked())
        worker.stations.tidy(3600.0)
        worker.stations.run(asked(BEFORE))
        assert worker.made == ["one"]
        worker.stations.tidy(-1.0)
        worker.stations.run(asked(CONTROL))
        assert worker.made == ["one", "one"]


def test_a_worker_that_loses_its_engine_leaves() -> None:
    lost = FakeRunner(lambda cell, key: failed(cell, Reason.ENGINE_LOST, key))
    worker = Made(lost)
    with contextlib.closing(worker.stations):
        worker.stations.run(asked())
    assert worker.left == ["it failed"]


def test_what_a_killed_worker_left_goes_and_what_others_have_stays(tmp_path: Path) -> None:
    (tmp_path / "left" / "run-1").mkdir(parents=True)
    with own_folder(tmp_path) as first:
        assert [first] == folders(tmp_path)
        with own_folder(tmp_path) as second:
            assert {first, second} == set(folders(tmp_path))
        assert [first] == folders(tmp_path)
    assert folders(tmp_path) == []


def folders(there: Path) -> list[Path]:
    return [path for path in there.iterdir() if path.is_dir()]


def test_workers_that_begin_at_once_leave_each_other_their_folders(tmp_path: Path) -> None:
    together, count = threading.Barrier(6), range(6)

    def begin(_number: int) -> bool:
        held = True
        for _ in range(20):
            together.wait(SECONDS)
            with own_folder(tmp_path) as folder:
                (folder / "scratch").mkdir()
                together.wait(SECONDS)
                held = held and (folder / "scratch").is_dir() and (folder / "run.lock").exists()
        return held

    with ThreadPoolExecutor(len(count)) as workers:
        assert list(workers.map(begin, count)) == [True for _ in count]
    assert folders(tmp_path) == []


@pytest.mark.parametrize(("engine", "falls_back"), [("docker", False), ("auto", True)])
def test_a_run_that_demands_containers_has_nothing_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, *, falls_back: bool
) -> None:
    opened_for = []

    def world(_own: Path, _how: SetupOptions, _probes: object, runs: RunBackend) -> object:
        opened_for.append(runs.falls_back)
        return contextlib.nullcontext(RunContext(FakeEnvironments(), observing(), FakeClock()))

    monkeypatch.setattr("matrix.runs.setup.world_of", world)
    terms = TaskTemplate("one", VERSION, SetupOptions(2), engine, NOTHING, lambda _planned: NOTHING)
    runs = RunBackend(Targets("docker", ("linux_x86_64",)), falls_back=True)
    with contextlib.closing(_station(terms.ask(CELL), runs, 1, tmp_path)):
        assert opened_for == [falls_back]
