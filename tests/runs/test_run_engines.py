"""What runs the cells, as a user chooses it: an engine that answers, one at all costs, none."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.fake_engine import FakeEngine, fake_image
from helpers.planning_fixture import page
from helpers.run_fakes import FakeEnvironments, image, plan, planned
from helpers.target_fixture import DOCKER, NO_ARM, wide_index

from matrix.__main__ import main
from matrix.cells.job import Limits
from matrix.cli import options
from matrix.cli import verify as verify_command
from matrix.docker import connect as engines
from matrix.docker.images.catalog import CatalogEntry
from matrix.docker.images.interface import ImageOffer
from matrix.docker.interface import ContainerError, EngineInfo, ImageInfo
from matrix.docker.labels import RunLabels
from matrix.errors import EngineUnavailableError, ExitCode, UsageError
from matrix.interpreters.inspect import host_target
from matrix.model.capture import CellLocation
from matrix.model.plan import Plan
from matrix.planning import locations
from matrix.planning.locations import place_names
from matrix.runs import backend
from matrix.runs import setup as jobs
from matrix.runs.backend import FallbackEnvironments, RunBackend, open_backend
from matrix.runs.events import Emit, RunFinished, RunStarted
from matrix.runs.interface import CellRequest
from matrix.runs.journal import Entry, Journal
from matrix.runs.record import Record
from matrix.runs.run import captured_targets
from matrix.runs.setup import JobFactory, RunOptions, cell_limits, load_emulation, run_context

X86, I686, ARM = "linux_x86_64", "linux_i686", "linux_aarch64"


@pytest.fixture(autouse=True)
def _this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COMPAT_MATRIX_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(locations, "host_target", lambda: X86)


class Counted(FakeEngine):
    """Counts how often it is swept and let go of."""

    swept = 0
    closed = 0
    found = 0
    broken = False

    def sweep(self) -> int:
        self.swept += 1
        if self.broken:
            raise ContainerError("no")
        return self.found

    def close(self) -> None:
        self.closed += 1


class FakeCatalog:
    """Lists a 3.11 for each CPU; `obstacle` says why none of them can be had."""

    obstacle = ""
    image: ImageInfo | None = None

    def __init__(self, _engine: object, _cache: Path) -> None:
        pass

    def entries(self) -> tuple[CatalogEntry, ...]:
        offer = ImageOffer("debian", "debian", "3.11", X86, "linux/amd64", "key", "python", "site")
        return tuple(
            CatalogEntry(
                dataclasses.replace(offer, target=target, obstacle=self.obstacle), self.image
            )
            for target in (X86, I686, ARM)
        )


Answering = Callable[[EngineInfo], Counted]


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Answering:
    """Let an engine answer."""

    def answer(info: EngineInfo) -> Counted:
        engine = Counted(info=info)
        for name in ("find_engine", "connect"):
            monkeypatch.setattr(backend, name, lambda _run: engine)
        monkeypatch.setattr(engines, "find_engine", lambda _run: engine)
        monkeypatch.setattr(backend, "ImageCatalog", FakeCatalog)
        return engine

    return answer


def test_auto_takes_the_engine_that_answers_and_lets_go_of_it(answering: Answering) -> None:
    engine = answering(DOCKER)
    with open_backend("auto") as runs:
        assert runs.engine is not None
        assert runs.where.engine == "Docker 20.10.24"
        assert runs.where.targets == (X86, I686, ARM)
        assert runs.notes == ()
        assert engine.swept == 1
        before = engine.closed
    assert (before, engine.closed) == (0, 1)


@pytest.mark.parametrize("choice", ["auto", "docker"])
def test_only_an_engine_that_nobody_demanded_is_stood_in_for(
    answering: Answering, tmp_path: Path, choice: str
) -> None:
    answering(DOCKER)
    with open_backend(choice) as runs, run_context(tmp_path, RunOptions(jobs=1), {}, runs) as world:
        assert isinstance(world.environments, FallbackEnvironments) is (choice == "auto")


def test_auto_without_an_engine_says_so_in_a_line_and_runs_here() -> None:
    with open_backend("auto") as runs:
        assert runs.engine is None
        assert runs.where.targets == (X86,)
        (note,) = runs.notes
        assert "no container engine answers" in note
        assert X86 in note


def test_docker_without_an_engine_is_an_error() -> None:
    with pytest.raises(EngineUnavailableError), open_backend("docker"):
        pass


def test_local_asks_no_engine(answering: Answering) -> None:
    engine = answering(DOCKER)
    with open_backend("local") as runs:
        assert runs == RunBackend(runs.where)
        assert runs.where.targets == (X86,)
    assert engine.swept == 0


def test_an_engine_on_another_machine_runs_cells_as_well(answering: Answering) -> None:
    engine = answering(dataclasses.replace(DOCKER, shares_files=False))
    with open_backend("docker") as runs:
        assert runs.engine is engine


def test_an_engine_without_images_runs_nothing(
    answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(DOCKER)
    monkeypatch.setattr(FakeCatalog, "obstacle", "mmdebstrap is missing")
    with (
        pytest.raises(EngineUnavailableError, match="mmdebstrap") as caught,
        open_backend("docker"),
    ):
        pass
    assert "nox -s images" in caught.value.hint
    with open_backend("auto") as runs:
        assert runs.engine is None
        assert "mmdebstrap is missing" in runs.notes[0]
    monkeypatch.setattr(FakeCatalog, "image", fake_image("debian"))
    with open_backend("docker") as runs:
        assert runs.engine is not None


def test_a_target_that_the_engine_cannot_run_is_an_error_before_anything_runs(
    answering: Answering,
) -> None:
    engine = answering(NO_ARM)
    with (
        pytest.raises(EngineUnavailableError, match="linux_aarch64"),
        open_backend("docker", ["arm64"]),
    ):
        pass
    assert engine.closed == 1
    with pytest.raises(UsageError), open_backend("local", ["arm64"]):
        pass


def test_what_dead_runs_left_is_removed_and_told(answering: Answering) -> None:
    engine = answering(DOCKER)
    engine.found = 3
    with open_backend("docker") as runs:
        (note,) = runs.notes
        assert note.endswith(": 3")
    engine.broken = True
    with open_backend("docker") as runs:
        (note,) = runs.notes
        assert "cannot remove what earlier runs left: no" in note


def job_for(
    target: str, runs: RunBackend, folder: Path, *, contained: bool, load: float = 0.0
) -> tuple[object, Limits]:
    cell = planned(f"cp39-{target}-django3.2-ddtrace1.9.0")
    made = FakeEnvironments(ready=True)
    made.image = image(target) if contained else None
    environment = made._make(cell)
    job = JobFactory({}, folder, runs, *cell_limits(runs), load=lambda: load).make(
        CellRequest(0, cell, environment, "key")
    )
    return job.image, job.limits


def test_every_wait_is_longer_on_a_busy_machine(answering: Answering, tmp_path: Path) -> None:
    answering(DOCKER)
    with open_backend("docker") as runs:
        for target in (X86, ARM):
            _, quiet = job_for(target, runs, tmp_path, contained=True, load=3.0)
            _, busy = job_for(target, runs, tmp_path, contained=True, load=9.0)
            assert busy == quiet.times(3.0)


def test_an_emulated_cell_has_longer_limits_and_the_others_have_not(
    answering: Answering, tmp_path: Path
) -> None:
    answering(DOCKER)
    with open_backend("docker") as runs:
        for target in (X86, I686):
            assert job_for(target, runs, tmp_path, contained=True) == (image(target), Limits())
        _, limits = job_for(ARM, runs, tmp_path, contained=True)
    assert limits == Limits().times(load_emulation().slower)
    assert limits.start > Limits().start
    assert limits.free_bytes == Limits().free_bytes
    here = RunBackend(runs.where)
    assert job_for(X86, here, tmp_path, contained=False)[0] is None


def test_a_cell_in_an_image_is_given_its_packages_and_a_way_to_the_engine(tmp_path: Path) -> None:
    with open_backend("local") as here:
        runs = RunBackend(here.where, None, RunLabels("a", "b"))
    made = FakeEnvironments(ready=True)
    made.image = image()
    cell = planned(f"cp39-{X86}-django3.2-ddtrace1.9.0")
    environment = dataclasses.replace(made._make(cell), tree=tmp_path / "site")
    job = JobFactory({}, tmp_path, runs, *cell_limits(runs)).make(
        CellRequest(0, cell, environment, "key")
    )
    job = pickle.loads(pickle.dumps(job))  # noqa: S301 - our own, as a worker gets it
    assert (job.tree, job.tree_key) == (tmp_path / "site", environment.key)
    with pytest.raises(EngineUnavailableError):
        job.connect()


def test_a_busy_engine_is_not_lost_to_a_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = []
    monkeypatch.setattr(jobs, "connect", lambda _run, seconds=5.0: waited.append(seconds))
    with open_backend("local") as here:
        runs = RunBackend(here.where, None, RunLabels("a", "b"))
    made = FakeEnvironments(ready=True)
    made.image = image()
    cell = planned(f"cp39-{X86}-django3.2-ddtrace1.9.0")
    job = JobFactory({}, tmp_path, runs, *cell_limits(runs)).make(
        CellRequest(0, cell, made._make(cell), "key")
    )
    assert job.connect is not None
    job.connect()
    assert waited >= [60]


@pytest.fixture
def ran_on(monkeypatch: pytest.MonkeyPatch) -> list[tuple[RunBackend, RunOptions]]:
    """Let `verify` run nothing, and note what it would have run it with."""
    calls: list[tuple[RunBackend, RunOptions]] = []

    def verify(of: Plan, run_options: RunOptions, emit: Emit, runs: RunBackend) -> Record:
        calls.append((runs, run_options))
        emit(RunStarted(of, run_options.jobs, runs.where.engine))
        emit(RunFinished(interrupted=False))
        return Record.of(of, (), (), plan().snapshot, 1.0)

    monkeypatch.setattr(verify_command, "verify", verify)
    monkeypatch.setattr(verify_command, "context_on", lambda runs: runs)
    monkeypatch.setattr(
        verify_command,
        "plan_from_args",
        lambda _args, where, *_: dataclasses.replace(plan(), targets=where.targets),
    )
    return calls


def test_the_opening_line_names_the_engine_and_its_targets(
    answering: Answering,
    ran_on: list[tuple[RunBackend, RunOptions]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    answering(DOCKER)
    assert main(["verify", "--target", "amd64", "--target", "386"]) == ExitCode.OK
    assert "in Docker 20.10.24, for amd64, 386" in capsys.readouterr().out
    ((runs, _),) = ran_on
    assert runs.where.targets == (X86, I686)


def test_without_an_engine_the_opening_line_names_this_machine(
    ran_on: list[tuple[RunBackend, RunOptions]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify"]) == ExitCode.OK
    out, err = capsys.readouterr()
    assert "on this machine" in out
    assert err.count("no container engine answers") == 1
    assert len(ran_on) == 1


def test_an_engine_that_is_demanded_and_does_not_answer_is_exit_code_8(
    ran_on: list[tuple[RunBackend, RunOptions]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "--engine", "docker"]) == ExitCode.ENGINE_UNAVAILABLE
    assert "hint:" in capsys.readouterr().err
    assert ran_on == []


def test_rejudging_asks_no_engine_and_takes_the_targets_that_were_captured(
    answering: Answering, ran_on: list[tuple[RunBackend, RunOptions]], tmp_path: Path
) -> None:
    engine = answering(DOCKER)
    captures = tmp_path / "results" / "captures"
    (captures / f"cp39-{ARM}-django3.2-ddtrace1.9.0").mkdir(parents=True)
    (captures / "something else").mkdir()
    assert set(captured_targets(tmp_path / "results").targets) == {host_target(), ARM}
    assert captured_targets(tmp_path / "none").targets == (host_target(),)
    for choice, targets in (("auto", {host_target(), ARM}), ("docker", {X86, I686, ARM})):
        ran_on.clear()
        assert main(["verify", "--rejudge", "--engine", choice]) == ExitCode.OK
        ((runs, run_options),) = ran_on
        assert set(runs.where.targets) == targets
        assert run_options.engine == choice
    assert engine.swept == 0


def plan_of(capsys: pytest.CaptureFixture[str], *options: str) -> set[str]:
    assert main(["plan", "--offline", "--profile", "smoke", "--json", "-", *options]) == 0
    return {cell["target"] for cell in json.loads(capsys.readouterr().out)["cells"]}


def test_a_plan_needs_no_engine_and_is_that_of_the_engine_that_answers(
    answering: Answering, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = wide_index()
    monkeypatch.setattr(options, "claims_from_args", lambda _args: page())
    index.notices = []  # type: ignore[attr-defined]
    monkeypatch.setattr(options, "CachedIndex", lambda *_, **__: index)
    assert plan_of(capsys) == {X86}
    assert plan_of(capsys, "--engine", "docker") == {X86, I686, ARM}
    assert plan_of(capsys, "--engine", "docker", "--target", "arm64") == {ARM}
    engine = answering(NO_ARM)
    assert plan_of(capsys) == {X86, I686}
    assert plan_of(capsys, "--engine", "local") == {X86}
    assert engine.closed == 1


@pytest.mark.parametrize(("engine", "places"), [("", ()), ("Docker 1", place_names())])
def test_rejudging_asks_what_is_promised_of_containers_where_one_was_run(
    tmp_path: Path, engine: str, places: tuple[str, ...]
) -> None:
    """Else the same claim would be open for another reason than in the run itself."""
    entry = Entry(
        key="key",
        base="base",
        probes={},
        decisive=(),
        soak=False,
        cell=f"cp39-{X86}-django3.2-ddtrace1.9.0",
        reason=None,
        detail="",
        started="2026-11-20",
        seconds=1.0,
        transient=False,
        judge="judge",
        findings=(),
        where=CellLocation(engine, "", "linux", "x86_64", 64, "glibc 2.36", "3.9.1", "", ""),
    )
    with contextlib.closing(Journal(tmp_path / "journal.jsonl")) as journal:
        journal.append(entry)
    assert captured_targets(tmp_path).places == places
