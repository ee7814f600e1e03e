"""A run on a cluster has the result of a run on this machine, whatever dies meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.cluster_fakes import TIMEOUTS, VERSION, ClusterRun, FakeTaskClient, offer, worker_run
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
from matrix.distributed.dask.cluster import dask_connect, join_cluster
from matrix.distributed.dask.interface import (
    CellTask,
    ClusterLostError,
    Outcome,
    TaskFailed,
    TaskKilled,
)
from matrix.distributed.dask.resources import WorkerOffer
from matrix.distributed.dask.worker_run import WorkerRun
from matrix.errors import ClusterUnavailableError, ExitCode, UsageError
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome as Answer
from matrix.planning.locations import Targets, place_names
from matrix.runs.events import CellFinished, Message, WarningRaised
from matrix.runs.interface import CellResult, RunContext, SystemClock
from matrix.runs.journal import Journal
from matrix.runs.keys import judge_key
from matrix.runs.record import Record
from matrix.runs.result_store import CaptureStore, ResultStore
from matrix.runs.run import exit_code
from matrix.runs.scheduler import Scheduler

NOTHING: frozenset[str] = frozenset()
HAS = {MINIMUM: "blocked", BEFORE: "welcome", CONTROL: "blocked", OLDER: "blocked"}


@pytest.fixture
def worker() -> Iterator[WorkerRun]:
    with contextlib.closing(worker_run(HAS)) as run:
        yield run


def run_locally(folder: Path) -> Record:
    """Run the same plan on this machine."""
    sources = "code"
    with contextlib.closing(Journal(folder / "journal.jsonl")) as journal:
        store = ResultStore(
            journal, CaptureStore(folder / "captures"), sources, judge_key(sources, PROBES)
        )
        runner = FakeRunner(lambda cell, key: capture(cell, key, body=HAS[cell]))
        world = RunContext(FakeEnvironments(), runner, SystemClock())
        return Scheduler(plan(), PROBES, world, store, lambda _event: None).run()


def run_on(worker: WorkerRun) -> Callable[[CellTask], Outcome | None]:
    return lambda task: worker.run(task.planned, task.known)


def test_verdicts_and_keys_are_those_of_a_run_on_this_machine(
    tmp_path: Path, worker: WorkerRun
) -> None:
    local = run_locally(tmp_path / "here")
    run = ClusterRun(tmp_path / "there", plan(), FakeTaskClient(run_on(worker)))
    result = run.run()
    assert result.verdicts == local.verdicts
    assert {line.id: (line.key, line.findings) for line in result.cells} == {
        line.id: (line.key, line.findings) for line in local.cells
    }
    assert sorted(entry.cell for entry in run.entries()) == sorted((MINIMUM, BEFORE, CONTROL))


def test_known_results_are_not_run_again(tmp_path: Path, worker: WorkerRun) -> None:
    before = run_locally(tmp_path)
    client = FakeTaskClient(run_on(worker))
    run = ClusterRun(tmp_path, plan(), client)
    result = run.run()
    assert all(record.reused for record in result.cells)
    assert result.verdicts == before.verdicts
    assert [len(task.known) for task in client.sent] == [1, 1, 1]
    assert len(run.entries()) == 3


def test_fresh_runs_everything_again(tmp_path: Path, worker: WorkerRun) -> None:
    run_locally(tmp_path)
    client = FakeTaskClient(run_on(worker))
    result = ClusterRun(tmp_path, plan(), client, fresh=True).run()
    assert not any(record.reused for record in result.cells)
    assert [task.known for task in client.sent] == [frozenset()] * 3


def test_a_known_result_that_is_missing_is_an_internal_error(tmp_path: Path) -> None:
    client = FakeTaskClient(lambda task: CellResult(None, "never seen"))
    result = ClusterRun(tmp_path, plan(), client).run()
    assert {record.reason for record in result.cells} == {Reason.INTERNAL_ERROR}
    assert result.count(Answer.CONFIRMED) == 0


def test_cells_go_in_the_plans_order_and_no_more_than_the_workers_run(
    tmp_path: Path, worker: WorkerRun
) -> None:
    client = FakeTaskClient(lambda _task: None, [offer(jobs=2)])
    run = ClusterRun(tmp_path, plan(), client)

    def answer(task: CellTask) -> Outcome | None:
        if len(client.sent) == 2:  # both places are taken: let the second end first
            threading.Thread(target=later, daemon=True).start()
        return None if len(client.sent) <= 2 else worker.run(task.planned, task.known)

    def later() -> None:
        for task in reversed(client.sent[:2]):
            client.finish(task.planned.cell.id, worker.run(task.planned, task.known))

    client.run = answer
    result = run.run()
    assert [task.planned.cell.id for task in client.sent] == [MINIMUM, BEFORE, CONTROL]
    assert client.most == 2
    assert result.cells[0].id == BEFORE
    assert result.count(Answer.CONFIRMED) == 1


def test_a_cell_that_kills_its_workers_is_reported_and_retried_next_time(
    tmp_path: Path, worker: WorkerRun
) -> None:
    def answer(task: CellTask) -> Outcome:
        if task.planned.cell.id == MINIMUM:
            return TaskKilled("4 workers died")
        return worker.run(task.planned, task.known)

    result = ClusterRun(tmp_path, plan(), FakeTaskClient(answer)).run()
    lost = next(record for record in result.cells if record.id == MINIMUM)
    assert (lost.reason, lost.detail) == (Reason.WORKER_LOST, "4 workers died")
    assert result.count(Answer.CONFIRMED) == 0
    assert exit_code(result, strict=False) is ExitCode.OK
    with contextlib.closing(worker_run(HAS)) as anew:
        again = ClusterRun(tmp_path, plan(), FakeTaskClient(run_on(anew))).run()
    assert again.count(Answer.CONFIRMED) == 1
    assert [record.id for record in again.cells if not record.reused] == [MINIMUM]


def test_a_failure_on_a_worker_is_an_internal_error(tmp_path: Path) -> None:
    result = ClusterRun(
        tmp_path, plan(), FakeTaskClient(lambda _task: TaskFailed("KeyError: 'x'"))
    ).run()
    assert {(line.reason, line.detail) for line in result.cells} == {
        (Reason.INTERNAL_ERROR, "KeyError: 'x'")
    }


def test_a_result_that_arrives_twice_counts_once(tmp_path: Path, worker: WorkerRun) -> None:
    client = FakeTaskClient(lambda _task: None)

    def answer(task: CellTask) -> Outcome | None:
        done = client.at_workers[task.planned.cell.id]
        other = dataclasses.replace(worker.run(task.planned, frozenset()), base="another")
        done(worker.run(task.planned, task.known))
        done(other)
        done(TaskKilled("a late one"))
        return None

    client.run = answer
    run = ClusterRun(tmp_path, plan(), client)
    result = run.run()
    assert sorted(record.id for record in result.cells) == sorted((MINIMUM, BEFORE, CONTROL))
    assert result.verdicts == run_locally(tmp_path / "here").verdicts
    assert len(run.entries()) == 3
    assert "another" not in {entry.base for entry in run.entries()}


@pytest.mark.parametrize("late", [False, True], ids=["sent-again", "answered-late"])
def test_a_restart_of_the_scheduler_loses_nothing(
    tmp_path: Path, worker: WorkerRun, *, late: bool
) -> None:
    first = FakeTaskClient(lambda _task: None)
    second = FakeTaskClient(run_on(worker))
    sent = []

    def answer(task: CellTask) -> Outcome | None:
        sent.append((task, first.at_workers[task.planned.cell.id]))
        if len(first.sent) == 2:
            first.lose()
            if late:
                for earlier, on_done in sent:
                    on_done(worker.run(earlier.planned, earlier.known))
        return None

    first.run = answer
    run = ClusterRun(tmp_path, plan(), first, second)
    result = run.run()
    assert result.verdicts == run_locally(tmp_path / "here").verdicts
    assert sorted(record.id for record in result.cells) == sorted((MINIMUM, BEFORE, CONTROL))
    assert len(run.entries()) == 3
    assert [task.planned.cell.id for task in second.sent] == (
        [CONTROL] if late else [MINIMUM, BEFORE, CONTROL]
    )
    assert first.closed
    messages = [event.message for event in run.events if isinstance(event, Message)]
    assert len(messages) == 2
    assert messages[1] == "the cluster's scheduler is back"


def test_an_unexpected_error_of_the_connection_ends_the_run(
    tmp_path: Path, worker: WorkerRun
) -> None:
    class Surprising(FakeTaskClient):
        def offers(self) -> Sequence[WorkerOffer]:
            if self.sent:
                raise KeyError("resources")
            return super().offers()

    client = Surprising(lambda _task: None)
    result = ClusterRun(tmp_path, plan(), client).run()
    assert exit_code(result, strict=False) is ExitCode.CLUSTER_UNAVAILABLE
    assert "KeyError: 'resources'" in result.run.lost
    assert client.closed


def test_a_scheduler_that_accepts_connections_without_answers_is_away(tmp_path: Path) -> None:
    def mute() -> FakeTaskClient:
        client = FakeTaskClient(lambda _task: None)
        client.lost = True
        return client

    run = ClusterRun(tmp_path, plan(), *(mute() for _ in range(100)))
    result = run.run()
    assert exit_code(result, strict=False) is ExitCode.CLUSTER_UNAVAILABLE
    assert "did not come back within 30 s" in result.run.lost
    assert run.tries < 60


def test_workers_have_time_to_come_back_when_the_scheduler_is_back(
    tmp_path: Path, worker: WorkerRun
) -> None:
    class Dying(FakeTaskClient):
        """First the workers go, then the scheduler."""

        looks = 0

        def offers(self) -> Sequence[WorkerOffer]:
            self.looks += 1
            self.lost = self.looks > 25
            self._check()
            return ()

    class Filling(FakeTaskClient):
        looks = 0

        def offers(self) -> Sequence[WorkerOffer]:
            self.looks += 1
            return (offer(),) if self.looks > 20 else ()

    # A second for each poll, and a few to connect: in all more than a cell waits for a worker.
    timeouts = dataclasses.replace(TIMEOUTS, fitting=40)
    clients = Dying(run_on(worker)), Filling(run_on(worker))
    result = ClusterRun(tmp_path, plan(), *clients, timeouts=timeouts).run()
    assert result.count(Answer.CONFIRMED) == 1
    assert not [record for record in result.cells if record.reason]


def test_a_scheduler_that_stays_away_ends_the_run(tmp_path: Path, worker: WorkerRun) -> None:
    client = FakeTaskClient(lambda _task: None)

    def answer(task: CellTask) -> Outcome | None:
        if task.planned.cell.id == MINIMUM:
            return worker.run(task.planned, task.known)
        client.lose()
        return None

    client.run = answer
    run = ClusterRun(tmp_path, plan(), client)
    result = run.run()
    assert exit_code(result, strict=False) is ExitCode.CLUSTER_UNAVAILABLE
    assert "did not come back within 30 s" in result.run.lost
    assert {record.id: record.reason for record in result.cells} == {
        MINIMUM: None,
        BEFORE: Reason.CLUSTER_LOST,
        CONTROL: Reason.CLUSTER_LOST,
    }
    assert [entry.cell for entry in run.entries()] == [MINIMUM]
    (warned,) = {event.message for event in run.events if isinstance(event, WarningRaised)}
    assert warned.startswith("the cluster was lost")


def test_a_cell_that_fits_no_worker_fails_alone(tmp_path: Path, worker: WorkerRun) -> None:
    client = FakeTaskClient(run_on(worker), [offer(jobs=1)])

    def answer(task: CellTask) -> Outcome:
        if task.planned.cell.id == MINIMUM:
            client.workers = ()  # the last worker leaves after its first cell
        return worker.run(task.planned, task.known)

    client.run = answer
    run = ClusterRun(tmp_path, plan(), client)
    result = run.run()
    assert {record.id: record.reason for record in result.cells} == {
        MINIMUM: None,
        BEFORE: Reason.WORKER_LOST,
        CONTROL: Reason.WORKER_LOST,
    }
    (detail,) = {record.detail for record in result.cells if record.reason}
    assert detail.startswith("for 60 s the cluster had no worker with ")
    assert "linux/amd64" in detail


def test_a_cell_at_a_worker_that_left_for_good_ends_too(tmp_path: Path) -> None:
    client = FakeTaskClient(lambda _task: None)

    def answer(_asked: CellTask) -> None:
        client.workers = ()  # Dask lets the cell wait for another such worker, for ever

    client.run = answer
    result = ClusterRun(tmp_path, plan(), client).run()
    assert {record.reason for record in result.cells} == {Reason.WORKER_LOST}


def test_the_last_worker_that_is_about_to_leave_may_end_its_cell(
    tmp_path: Path, worker: WorkerRun
) -> None:
    class Leaving(FakeTaskClient):
        looks = 0

        def offers(self) -> Sequence[WorkerOffer]:
            self.looks += 1
            if self.sent:
                self.workers = (dataclasses.replace(offer(), slots=0),)
            if self.looks == 100:  # longer than a cell waits for a worker that fits it
                self.finish(MINIMUM, worker.run(self.sent[0].planned, NOTHING))
            return self.workers if self.looks < 110 else ()

    result = ClusterRun(tmp_path, plan(), Leaving(lambda _task: None, [offer(jobs=1)])).run()
    assert {record.id: record.reason for record in result.cells} == {
        MINIMUM: None,
        BEFORE: Reason.WORKER_LOST,
        CONTROL: Reason.WORKER_LOST,
    }


def test_paused_workers_have_no_slots() -> None:
    pytest.importorskip("distributed")
    from matrix.distributed.dask.client import DaskClient  # noqa: PLC0415 - optional dependency

    class Scheduler:
        """Responds as Dask's does."""

        def __init__(self) -> None:
            self.status = {"tcp://192.0.2.1:1": "running", "tcp://192.0.2.2:1": "running"}

        async def ncores(self) -> dict[str, int]:
            return dict.fromkeys(self.status, 2)

        async def ncores_running(self) -> dict[str, int]:
            return {address: 2 for address, status in self.status.items() if status == "running"}

        async def identity(self) -> dict[str, object]:
            return {
                "workers": {
                    address: {"nthreads": 2, "resources": {"local": 2.0}, "status": status}
                    for address, status in self.status.items()
                }
            }

    scheduler = Scheduler()
    client = DaskClient.__new__(DaskClient)  # without a connection
    client._lost, client._offers = False, ()
    client._client = SimpleNamespace(status="running", scheduler=scheduler)
    for status, slots in (("running", [2, 2]), ("paused", [0, 2])):
        scheduler.status["tcp://192.0.2.1:1"] = status
        assert [worker.slots for worker in asyncio.run(client._fetch_offers())] == slots
    del scheduler.status["tcp://192.0.2.1:1"]
    assert [worker.slots for worker in asyncio.run(client._fetch_offers())] == [2]


def test_a_worker_that_comes_later_is_used(tmp_path: Path, worker: WorkerRun) -> None:
    looks = 0

    class Late(FakeTaskClient):
        def offers(self) -> Sequence[WorkerOffer]:
            nonlocal looks
            looks += 1
            return (offer(),) if looks > 5 else ()

    result = ClusterRun(tmp_path, plan(), Late(run_on(worker))).run()
    assert result.count(Answer.CONFIRMED) == 1


def test_ctrl_c_ends_what_runs_on_workers(tmp_path: Path, worker: WorkerRun) -> None:
    def answer(task: CellTask) -> Outcome | None:
        first = task.planned.cell.id == MINIMUM
        return worker.run(task.planned, task.known) if first else None

    client = FakeTaskClient(answer)
    run = ClusterRun(tmp_path, plan(), client)
    run.on_end = lambda _cell: run.scheduler.stop()
    result = run.run()
    assert result.run.interrupted
    assert exit_code(result, strict=False) is ExitCode.INTERRUPTED
    assert client.ended == ["run"]
    assert client.closed
    assert [entry.cell for entry in run.entries()] == [MINIMUM]


def test_a_run_that_ends_is_closed_on_the_workers(tmp_path: Path, worker: WorkerRun) -> None:
    client = FakeTaskClient(run_on(worker))
    ClusterRun(tmp_path, plan(), client).run()
    assert (client.ended, client.closed) == (["run"], True)


def test_further_controls_run_and_go_before_what_waits(tmp_path: Path) -> None:
    weak = {**HAS, CONTROL: "welcome", BEFORE: "welcome", MINIMUM: "welcome"}
    with contextlib.closing(worker_run(weak)) as worker:
        client = FakeTaskClient(run_on(worker))
        result = ClusterRun(tmp_path, plan(), client).run()
    assert [task.planned.cell.id for task in client.sent] == [MINIMUM, BEFORE, CONTROL, OLDER]
    assert result.count(Answer.REFUTED) == 1


def test_a_warning_of_an_environment_is_returned(tmp_path: Path, worker: WorkerRun) -> None:
    def answer(task: CellTask) -> Outcome:
        return dataclasses.replace(worker.run(task.planned, task.known), notice="no-image: local")

    run = ClusterRun(tmp_path, plan(), FakeTaskClient(answer))
    assert run.run().run.warnings == ("no-image: local",)
    assert sum(isinstance(event, CellFinished) for event in run.events) == 3


class FixedConnect:
    """A replacement for `dask_connect`, with one fake client."""

    def __init__(self, *offers: WorkerOffer) -> None:
        self.client = FakeTaskClient(lambda _task: None, offers)

    def __call__(self, _address: str) -> Callable[[], FakeTaskClient]:
        return lambda: self.client


ADDRESS = "tcp://192.0.2.9:8786"
join = functools.partial(join_cluster, ADDRESS, version=VERSION)


def test_workers_of_another_version_are_refused_by_name() -> None:
    old = offer(2, version="fedcba9876543210")
    with (
        pytest.raises(ClusterUnavailableError, match="no worker of this project") as caught,
        join(connect=FixedConnect(old)),
    ):
        pass
    assert "tcp://192.0.2.2:1 (fedcba987654)" in caught.value.message
    assert "0123456789ab" in caught.value.message
    with join(connect=FixedConnect(offer(1), old)) as cluster:
        assert [worker.address for worker in cluster.offers] == ["tcp://192.0.2.1:1"]
        (note,) = cluster.notes
        assert "1 worker not used" in note
        assert "tcp://192.0.2.2:1" in note


def test_a_cluster_plans_for_what_its_workers_run() -> None:
    arm = offer(2, where=Targets("docker", ("linux_aarch64", "linux_x86_64")))
    with join(connect=FixedConnect(offer(1), arm)) as cluster:
        assert cluster.where.targets == ("linux_x86_64", "linux_aarch64")
        assert cluster.where.places == place_names()
        assert cluster.where.obstacles["win32"].reason is Reason.PLATFORM_NOT_HERE
    with join("local", connect=FixedConnect(offer(1), arm)) as cluster:
        assert cluster.where.targets == ("linux_x86_64",)
        assert cluster.where.places == ()
    with (
        pytest.raises(ClusterUnavailableError, match="--engine docker"),
        join("docker", connect=FixedConnect(offer(1))),
    ):
        pass


def test_no_scheduler_and_no_address() -> None:
    def nobody(_address: str) -> Callable[[], FakeTaskClient]:
        def connect() -> FakeTaskClient:
            raise ClusterLostError("connection refused")

        return connect

    with (
        pytest.raises(ClusterUnavailableError, match="no Dask scheduler answers") as caught,
        join(connect=nobody),
    ):
        pass
    assert "python -m matrix worker tcp://192.0.2.9:8786" in caught.value.hint
    assert caught.value.exit_code is ExitCode.CLUSTER_UNAVAILABLE
    with pytest.raises(UsageError, match="invalid address"):
        dask_connect("192.0.2.9:8786")


@pytest.mark.parametrize(
    "options", [["--jobs", "2"], ["--keep"], ["--rejudge"], ["--shard", "linux_x86_64-01"]]
)
def test_options_that_exclude_a_cluster(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "--cluster", ADDRESS, *options]) == ExitCode.USAGE
    assert f"{options[0]} and --cluster exclude each other" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["verify", "--cluster"], ["worker"]])
def test_invalid_addresses(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "scheduler"]) == ExitCode.USAGE
    assert "invalid address 'scheduler'" in capsys.readouterr().err


def test_without_dask_the_hint_is_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("distributed", "distributed.core", "distributed.scheduler"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "matrix.distributed.dask.client", raising=False)
    for command in (["verify", "--cluster"], ["worker"]):
        assert main([*command, ADDRESS]) == ExitCode.CLUSTER_UNAVAILABLE
        assert "pip install 'compat-matrix[cluster]'" in capsys.readouterr().err
