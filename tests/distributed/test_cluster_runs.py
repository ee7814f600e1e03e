"""A run on a cluster ends as one on this machine does, whatever dies meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.cluster_fakes import VERSION, Clustered, FakeGrid, offer, station
from helpers.run_fakes import (
    BEFORE,
    CONTROL,
    MINIMUM,
    OLDER,
    PROBES,
    FakeEnvironments,
    FakeRunner,
    capture,
    plan,
)

from matrix.__main__ import main
from matrix.distributed.dask.client import ClusterLostError, Outcome, TaskFailed, TaskKilled
from matrix.distributed.dask.cluster import connect_by_dask, joined
from matrix.distributed.dask.resources import WorkerOffer
from matrix.distributed.dask.task import Task
from matrix.distributed.dask.worker_run import WorkerRun
from matrix.errors import ClusterUnavailableError, ExitCode, UsageError
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome as Answer
from matrix.planning.locations import Targets
from matrix.runs.captures import CaptureStore
from matrix.runs.events import CellFinished, Message, WarningRaised
from matrix.runs.interfaces import RemoteResult, SystemClock
from matrix.runs.journal import Journal
from matrix.runs.keys import Sources, judge_key
from matrix.runs.result import RunResult
from matrix.runs.result_store import ResultStore
from matrix.runs.run import exit_code
from matrix.runs.scheduler import RunContext, Scheduler

NOTHING: frozenset[str] = frozenset()
HAS = {MINIMUM: "blocked", BEFORE: "welcome", CONTROL: "blocked", OLDER: "blocked"}


@pytest.fixture
def there() -> Iterator[WorkerRun]:
    with contextlib.closing(station(HAS)) as made:
        yield made


def locally(folder: Path) -> RunResult:
    """Run the same plan on this machine."""
    sources = Sources("code")
    with contextlib.closing(Journal(folder / "journal.jsonl")) as journal:
        keeping = ResultStore(
            journal, CaptureStore(folder / "captures"), sources, judge_key(sources, PROBES)
        )
        runner = FakeRunner(lambda cell, key: capture(cell, key, body=HAS[cell]))
        world = RunContext(FakeEnvironments(), runner, SystemClock())
        return Scheduler(plan(), PROBES, world, keeping, lambda _event: None).run()


def by(found: WorkerRun) -> Callable[[Task], Outcome | None]:
    return lambda asked: found.run(asked.planned, asked.known)


def test_verdicts_and_keys_are_those_of_a_run_on_this_machine(
    tmp_path: Path, there: WorkerRun
) -> None:
    here = locally(tmp_path / "here")
    run = Clustered(tmp_path / "there", plan(), FakeGrid(by(there)))
    result = run.go()
    assert result.verdicts == here.verdicts
    assert {x.cell: (x.key, x.findings) for x in result.cells} == {
        x.cell: (x.key, x.findings) for x in here.cells
    }
    assert sorted(entry.cell for entry in run.entries()) == sorted((MINIMUM, BEFORE, CONTROL))


def test_what_is_known_is_not_run_again(tmp_path: Path, there: WorkerRun) -> None:
    before = locally(tmp_path)
    grid = FakeGrid(by(there))
    run = Clustered(tmp_path, plan(), grid)
    result = run.go()
    assert all(record.reused for record in result.cells)
    assert result.verdicts == before.verdicts
    assert [len(asked.known) for asked in grid.sent] == [1, 1, 1]
    assert len(run.entries()) == 3


def test_fresh_runs_all_of_it_again(tmp_path: Path, there: WorkerRun) -> None:
    locally(tmp_path)
    grid = FakeGrid(by(there))
    result = Clustered(tmp_path, plan(), grid, fresh=True).go()
    assert not any(record.reused for record in result.cells)
    assert [asked.known for asked in grid.sent] == [frozenset()] * 3


def test_a_result_that_is_said_to_be_known_and_is_not_is_an_error_of_ours(tmp_path: Path) -> None:
    grid = FakeGrid(lambda asked: RemoteResult("never seen", None))
    result = Clustered(tmp_path, plan(), grid).go()
    assert {record.reason for record in result.cells} == {Reason.INTERNAL_ERROR}
    assert result.count(Answer.CONFIRMED) == 0


def test_cells_go_in_the_plans_order_and_no_more_than_the_workers_run(
    tmp_path: Path, there: WorkerRun
) -> None:
    grid = FakeGrid(lambda _asked: None, [offer(jobs=2)])
    run = Clustered(tmp_path, plan(), grid)

    def answer(asked: Task) -> Outcome | None:
        if len(grid.sent) == 2:  # both places are taken: let the second end first
            threading.Thread(target=later, daemon=True).start()
        return None if len(grid.sent) <= 2 else there.run(asked.planned, asked.known)

    def later() -> None:
        for asked in reversed(grid.sent[:2]):
            grid.give(asked.planned.cell.id, there.run(asked.planned, asked.known))

    grid.answer = answer
    result = run.go()
    assert [asked.planned.cell.id for asked in grid.sent] == [MINIMUM, BEFORE, CONTROL]
    assert grid.most == 2
    assert result.cells[0].cell == BEFORE
    assert result.count(Answer.CONFIRMED) == 1


def test_a_cell_that_kills_its_workers_is_told_so_and_tried_again_next_time(
    tmp_path: Path, there: WorkerRun
) -> None:
    def answer(asked: Task) -> Outcome:
        if asked.planned.cell.id == MINIMUM:
            return TaskKilled("4 workers died")
        return there.run(asked.planned, asked.known)

    result = Clustered(tmp_path, plan(), FakeGrid(answer)).go()
    lost = next(record for record in result.cells if record.cell == MINIMUM)
    assert (lost.reason, lost.detail) == (Reason.WORKER_LOST, "4 workers died")
    assert result.count(Answer.CONFIRMED) == 0
    assert exit_code(result, strict=False) is ExitCode.OK
    with contextlib.closing(station(HAS)) as anew:
        again = Clustered(tmp_path, plan(), FakeGrid(by(anew))).go()
    assert again.count(Answer.CONFIRMED) == 1
    assert [record.cell for record in again.cells if not record.reused] == [MINIMUM]


def test_what_fails_on_a_worker_is_an_error_of_ours(tmp_path: Path) -> None:
    result = Clustered(tmp_path, plan(), FakeGrid(lambda _asked: TaskFailed("KeyError: 'x'"))).go()
    assert {(x.reason, x.detail) for x in result.cells} == {
        (Reason.INTERNAL_ERROR, "KeyError: 'x'")
    }


def test_an_answer_that_comes_twice_counts_once(tmp_path: Path, there: WorkerRun) -> None:
    grid = FakeGrid(lambda _asked: None)

    def answer(asked: Task) -> Outcome | None:
        done = grid.at_workers[asked.planned.cell.id]
        other = dataclasses.replace(there.run(asked.planned, frozenset()), base="another")
        done(there.run(asked.planned, asked.known))
        done(other)
        done(TaskKilled("a late one"))
        return None

    grid.answer = answer
    run = Clustered(tmp_path, plan(), grid)
    result = run.go()
    assert sorted(record.cell for record in result.cells) == sorted((MINIMUM, BEFORE, CONTROL))
    assert result.verdicts == locally(tmp_path / "here").verdicts
    assert len(run.entries()) == 3
    assert "another" not in {entry.base for entry in run.entries()}


@pytest.mark.parametrize("late", [False, True], ids=["sent-again", "answered-late"])
def test_a_scheduler_that_restarts_costs_nothing_but_time(
    tmp_path: Path, there: WorkerRun, *, late: bool
) -> None:
    first = FakeGrid(lambda _asked: None)
    second = FakeGrid(by(there))
    kept = []

    def answer(asked: Task) -> Outcome | None:
        kept.append((asked, first.at_workers[asked.planned.cell.id]))
        if len(first.sent) == 2:
            first.lose()
            if late:
                for each, done in kept:
                    done(there.run(each.planned, each.known))
        return None

    first.answer = answer
    run = Clustered(tmp_path, plan(), first, second)
    result = run.go()
    assert result.verdicts == locally(tmp_path / "here").verdicts
    assert sorted(record.cell for record in result.cells) == sorted((MINIMUM, BEFORE, CONTROL))
    assert len(run.entries()) == 3
    assert [asked.planned.cell.id for asked in second.sent] == (
        [CONTROL] if late else [MINIMUM, BEFORE, CONTROL]
    )
    assert first.closed
    told = [event.message for event in run.events if isinstance(event, Message)]
    assert len(told) == 2
    assert told[1] == "the cluster's scheduler is back"


def test_a_surprise_of_the_connection_ends_the_run_and_lets_nobody_wait(
    tmp_path: Path, there: WorkerRun
) -> None:
    class Surprising(FakeGrid):
        def offers(self) -> Sequence[WorkerOffer]:
            if self.sent:
                raise KeyError("resources")
            return super().offers()

    grid = Surprising(lambda _asked: None)
    result = Clustered(tmp_path, plan(), grid).go()
    assert exit_code(result, strict=False) is ExitCode.CLUSTER_UNAVAILABLE
    assert "KeyError: 'resources'" in result.lost
    assert grid.closed


def test_a_scheduler_that_takes_connections_and_says_nothing_is_not_back(tmp_path: Path) -> None:
    def mute() -> FakeGrid:
        grid = FakeGrid(lambda _asked: None)
        grid.lost = True
        return grid

    run = Clustered(tmp_path, plan(), *(mute() for _ in range(100)))
    result = run.go()
    assert exit_code(result, strict=False) is ExitCode.CLUSTER_UNAVAILABLE
    assert "did not come back within 30 s" in result.lost
    assert run.tries < 60


def test_workers_have_time_to_come_back_when_the_scheduler_is_back(
    tmp_path: Path, there: WorkerRun
) -> None:
    class Dying(FakeGrid):
        """First the workers go, then the scheduler."""

        looks = 0

        def offers(self) -> Sequence[WorkerOffer]:
            self.looks += 1
            self.lost = self.looks > 25
            self._check()
            return ()

    class Filling(FakeGrid):
        looks = 0

        def offers(self) -> Sequence[WorkerOffer]:
            self.looks += 1
            return (offer(),) if self.looks > 20 else ()

    run = Clustered(tmp_path, plan(), Dying(by(there)), Filling(by(there)))
    # A second for each look, and a few to connect: more than the cells' patience in all.
    run.runner._patience = dataclasses.replace(run.runner._patience, fitting=40)
    result = run.go()
    assert result.count(Answer.CONFIRMED) == 1
    assert not [record for record in result.cells if record.reason]


def test_a_scheduler_that_stays_away_ends_the_run(tmp_path: Path, there: WorkerRun) -> None:
    grid = FakeGrid(lambda _asked: None)

    def answer(asked: Task) -> Outcome | None:
        if asked.planned.cell.id == MINIMUM:
            return there.run(asked.planned, asked.known)
        grid.lose()
        return None

    grid.answer = answer
    run = Clustered(tmp_path, plan(), grid)
    result = run.go()
    assert exit_code(result, strict=False) is ExitCode.CLUSTER_UNAVAILABLE
    assert "did not come back within 30 s" in result.lost
    assert {record.cell: record.reason for record in result.cells} == {
        MINIMUM: None,
        BEFORE: Reason.CLUSTER_LOST,
        CONTROL: Reason.CLUSTER_LOST,
    }
    assert [entry.cell for entry in run.entries()] == [MINIMUM]
    (warned,) = {event.message for event in run.events if isinstance(event, WarningRaised)}
    assert warned.startswith("the cluster was lost")


def test_a_cell_that_fits_no_worker_says_so_and_the_others_go_on(
    tmp_path: Path, there: WorkerRun
) -> None:
    grid = FakeGrid(by(there), [offer(jobs=1)])

    def answer(asked: Task) -> Outcome:
        if asked.planned.cell.id == MINIMUM:
            grid.there = ()  # the last worker leaves after its first cell
        return there.run(asked.planned, asked.known)

    grid.answer = answer
    run = Clustered(tmp_path, plan(), grid)
    result = run.go()
    assert {record.cell: record.reason for record in result.cells} == {
        MINIMUM: None,
        BEFORE: Reason.WORKER_LOST,
        CONTROL: Reason.WORKER_LOST,
    }
    (detail,) = {record.detail for record in result.cells if record.reason}
    assert detail.startswith("for 60 s the cluster had no worker with ")
    assert "linux/amd64" in detail


def test_a_cell_at_a_worker_that_left_for_good_ends_too(tmp_path: Path) -> None:
    grid = FakeGrid(lambda _asked: None)

    def answer(_asked: Task) -> None:
        grid.there = ()  # Dask lets the cell wait for another such worker, for ever

    grid.answer = answer
    result = Clustered(tmp_path, plan(), grid).go()
    assert {record.reason for record in result.cells} == {Reason.WORKER_LOST}


def test_the_last_worker_that_is_about_to_leave_may_end_its_cell(
    tmp_path: Path, there: WorkerRun
) -> None:
    class Leaving(FakeGrid):
        looks = 0

        def offers(self) -> Sequence[WorkerOffer]:
            self.looks += 1
            if self.sent:
                self.there = (dataclasses.replace(offer(), slots=0),)
            if self.looks == 100:  # longer than a cell waits for a worker that fits it
                self.give(MINIMUM, there.run(self.sent[0].planned, NOTHING))
            return self.there if self.looks < 110 else ()

    result = Clustered(tmp_path, plan(), Leaving(lambda _asked: None, [offer(jobs=1)])).go()
    assert {record.cell: record.reason for record in result.cells} == {
        MINIMUM: None,
        BEFORE: Reason.WORKER_LOST,
        CONTROL: Reason.WORKER_LOST,
    }


def test_dask_tells_of_workers_that_take_no_more_cells() -> None:
    pytest.importorskip("distributed")
    from matrix.distributed.dask.client import DaskClient  # noqa: PLC0415 - where there is Dask

    class Scheduler:
        """Answers as Dask's does."""

        def __init__(self) -> None:
            self.status = {"tcp://192.0.2.1:1": "running", "tcp://192.0.2.2:1": "running"}

        async def ncores(self) -> dict[str, int]:
            return dict.fromkeys(self.status, 2)

        async def ncores_running(self) -> dict[str, int]:
            return {each: 2 for each, status in self.status.items() if status == "running"}

        async def identity(self) -> dict[str, object]:
            return {
                "workers": {
                    each: {"nthreads": 2, "resources": {"local": 2.0}, "status": status}
                    for each, status in self.status.items()
                }
            }

    scheduler = Scheduler()
    grid = DaskClient.__new__(DaskClient)  # without a connection
    grid._gone, grid._offers = False, ()
    grid._client = SimpleNamespace(status="running", scheduler=scheduler)
    for status, slots in (("running", [2, 2]), ("paused", [0, 2])):
        scheduler.status["tcp://192.0.2.1:1"] = status
        assert [each.slots for each in asyncio.run(grid._ask_offers())] == slots
    del scheduler.status["tcp://192.0.2.1:1"]
    assert [each.slots for each in asyncio.run(grid._ask_offers())] == [2]


def test_a_worker_that_comes_later_is_used(tmp_path: Path, there: WorkerRun) -> None:
    looks = 0

    class Late(FakeGrid):
        def offers(self) -> Sequence[WorkerOffer]:
            nonlocal looks
            looks += 1
            return (offer(),) if looks > 5 else ()

    result = Clustered(tmp_path, plan(), Late(by(there))).go()
    assert result.count(Answer.CONFIRMED) == 1


def test_ctrl_c_ends_what_runs_on_workers(tmp_path: Path, there: WorkerRun) -> None:
    def answer(asked: Task) -> Outcome | None:
        first = asked.planned.cell.id == MINIMUM
        return there.run(asked.planned, asked.known) if first else None

    grid = FakeGrid(answer)
    run = Clustered(tmp_path, plan(), grid)
    run.on_end = lambda _cell: run.engine.stop()
    result = run.go()
    assert result.interrupted
    assert exit_code(result, strict=False) is ExitCode.INTERRUPTED
    assert grid.ended == ["run"]
    assert grid.closed
    assert [entry.cell for entry in run.entries()] == [MINIMUM]


def test_a_run_that_ends_lets_the_workers_put_it_away(tmp_path: Path, there: WorkerRun) -> None:
    grid = FakeGrid(by(there))
    Clustered(tmp_path, plan(), grid).go()
    assert (grid.ended, grid.closed) == (["run"], True)


def test_further_controls_run_and_go_before_what_waits(tmp_path: Path) -> None:
    weak = {**HAS, CONTROL: "welcome", BEFORE: "welcome", MINIMUM: "welcome"}
    with contextlib.closing(station(weak)) as found:
        grid = FakeGrid(by(found))
        result = Clustered(tmp_path, plan(), grid).go()
    assert [asked.planned.cell.id for asked in grid.sent] == [MINIMUM, BEFORE, CONTROL, OLDER]
    assert result.count(Answer.REFUTED) == 1


def test_a_warning_of_an_environment_comes_back(tmp_path: Path, there: WorkerRun) -> None:
    def answer(asked: Task) -> Outcome:
        return dataclasses.replace(there.run(asked.planned, asked.known), instead="no-image: here")

    run = Clustered(tmp_path, plan(), FakeGrid(answer))
    assert run.go().warnings == ("no-image: here",)
    assert sum(isinstance(event, CellFinished) for event in run.events) == 3


class Elsewhere:
    """What `joined` connects to."""

    def __init__(self, *offers: WorkerOffer) -> None:
        self.grid = FakeGrid(lambda _asked: None, offers)

    def __call__(self, _address: str) -> Callable[[], FakeGrid]:
        return lambda: self.grid


@pytest.fixture
def version(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("matrix.distributed.dask.cluster.project_version", lambda: VERSION)
    return VERSION


@pytest.mark.usefixtures("version")
def test_workers_of_another_version_are_refused_by_name() -> None:
    old = offer(2, version="fedcba9876543210")
    with (
        pytest.raises(ClusterUnavailableError, match="no worker of this project") as caught,
        joined("tcp://192.0.2.9:8786", connect=Elsewhere(old)),
    ):
        pass
    assert "tcp://192.0.2.2:1 (fedcba987654)" in caught.value.message
    assert "0123456789ab" in caught.value.message
    with joined("tcp://192.0.2.9:8786", connect=Elsewhere(offer(1), old)) as cluster:
        assert [each.address for each in cluster.offers] == ["tcp://192.0.2.1:1"]
        (note,) = cluster.notes
        assert "1 worker not used" in note
        assert "tcp://192.0.2.2:1" in note


@pytest.mark.usefixtures("version")
def test_a_cluster_plans_for_what_its_workers_run() -> None:
    arm = offer(2, where=Targets("docker", ("linux_aarch64", "linux_x86_64")))
    with joined("tcp://192.0.2.9:8786", connect=Elsewhere(offer(1), arm)) as cluster:
        assert cluster.where.targets == ("linux_x86_64", "linux_aarch64")
        assert cluster.where.deployments == ("docker",)
        assert cluster.where.obstacles["win32"].reason is Reason.PLATFORM_NOT_HERE
    with joined("tcp://192.0.2.9:8786", "local", connect=Elsewhere(offer(1), arm)) as cluster:
        assert cluster.where.targets == ("linux_x86_64",)
        assert cluster.where.deployments == ()
    with (
        pytest.raises(ClusterUnavailableError, match="--engine docker"),
        joined("tcp://192.0.2.9:8786", "docker", connect=Elsewhere(offer(1))),
    ):
        pass


def test_no_scheduler_and_no_address() -> None:
    def nobody(_address: str) -> Callable[[], FakeGrid]:
        def connect() -> FakeGrid:
            raise ClusterLostError("connection refused")

        return connect

    with (
        pytest.raises(ClusterUnavailableError, match="no Dask scheduler answers") as caught,
        joined("tcp://192.0.2.9:8786", connect=nobody),
    ):
        pass
    assert "python -m matrix worker tcp://192.0.2.9:8786" in caught.value.hint
    assert caught.value.exit_code is ExitCode.CLUSTER_UNAVAILABLE
    with pytest.raises(UsageError, match="no address"):
        connect_by_dask("192.0.2.9:8786")


@pytest.mark.parametrize(
    "options", [["--jobs", "2"], ["--keep"], ["--rejudge"], ["--shard", "linux_x86_64-01"]]
)
def test_options_that_say_nothing_of_a_cluster(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "--cluster", "tcp://192.0.2.9:8786", *options]) == ExitCode.USAGE
    assert f"{options[0]} and --cluster exclude each other" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["verify", "--cluster"], ["worker"]])
def test_what_is_no_address(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "scheduler"]) == ExitCode.USAGE
    assert "'scheduler' is no address" in capsys.readouterr().err


def test_without_dask_it_is_said_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("distributed", "distributed.core", "distributed.scheduler"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "matrix.distributed.dask.client", raising=False)
    for command in (["verify", "--cluster"], ["worker"]):
        assert main([*command, "tcp://192.0.2.9:8786"]) == ExitCode.CLUSTER_UNAVAILABLE
        assert "pip install 'compat-matrix[cluster]'" in capsys.readouterr().err
