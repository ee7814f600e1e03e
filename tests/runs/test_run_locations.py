"""A run on a container engine: images, what is kept beside what, emulated cells, a lost engine."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest
from helpers.run_fakes import (
    BEFORE,
    CONTROL,
    MINIMUM,
    OLDER,
    PROBES,
    FakeClock,
    FakeEnvironments,
    FakeRunner,
    capture,
    claim,
    failed,
    image,
    part,
    plan,
    planned,
)
from helpers.scheduler_runs import DOCKER, image_environments, responses, run_on_engine

from matrix.docker.images.interface import ImageError
from matrix.docker.interface import ContainerError, EngineLostError
from matrix.environments.errors import BuildError
from matrix.errors import ExitCode
from matrix.model.capture import CellCapture
from matrix.model.environment import Environment, Image, Requirements
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome
from matrix.runs.environments import ImageEnvironments
from matrix.runs.events import Message, RunStarted, WarningRaised
from matrix.runs.interface import CellRequest, CellResult, Report
from matrix.runs.journal import Journal
from matrix.runs.record import Record
from matrix.runs.result_store import CaptureStore
from matrix.runs.run import exit_code, rejudge


def test_results_of_two_engines_lie_side_by_side(tmp_path: Path) -> None:
    for environments, engine in (
        (image_environments("sha256:one"), DOCKER),
        (FakeEnvironments(), ""),
    ):
        first, again = FakeRunner(responses()), FakeRunner(responses())
        run_on_engine(tmp_path, first, environments, engine=engine)
        assert first.ran == [MINIMUM, BEFORE, CONTROL]
        result, _ = run_on_engine(tmp_path, again, environments, engine=engine)
        assert again.ran == []
        assert {item.where.engine for item in result.cells if item.where} == {engine}
    other = FakeRunner(responses())
    run_on_engine(tmp_path, other, image_environments("sha256:two"))
    assert other.ran == [MINIMUM, BEFORE, CONTROL]
    still = FakeRunner(responses())
    run_on_engine(tmp_path, still, image_environments("sha256:one"))
    assert still.ran == []


def test_what_was_seen_of_an_image_that_was_emulated_is_not_taken_for_what_it_does(
    tmp_path: Path,
) -> None:
    emulated = image_environments("sha256:one")
    emulated.image = dataclasses.replace(image(), environment=(("EMULATED_CPU", "old"),))
    run_on_engine(tmp_path, FakeRunner(responses()), emulated)
    again, native = FakeRunner(responses()), FakeRunner(responses())
    run_on_engine(tmp_path, again, emulated)
    run_on_engine(tmp_path, native, image_environments("sha256:one"))
    assert (again.ran, native.ran) == ([], [MINIMUM, BEFORE, CONTROL])


def test_rejudging_takes_the_captures_of_one_engine_or_the_newest_of_all(tmp_path: Path) -> None:
    run_on_engine(tmp_path, FakeRunner(responses()), image_environments("sha256:one"))
    run_on_engine(tmp_path, FakeRunner(responses(minimum="welcome")), FakeEnvironments(), engine="")

    def again(**options: object) -> Record:
        with contextlib.closing(Journal(tmp_path / "journal.jsonl")) as journal:
            store = CaptureStore(tmp_path / "captures")
            return rejudge(
                plan(),
                PROBES,
                journal=journal,
                captures=store,
                clock=FakeClock(),
                emit=lambda _event: None,
                **options,  # type: ignore[arg-type]
            )

    contained = again(accepts=lambda capture: bool(capture.engine))
    assert contained.verdicts[0].outcome is Outcome.CONFIRMED
    assert {item.where.engine for item in contained.cells if item.where} == {DOCKER}
    local = again(accepts=lambda capture: not capture.engine)
    assert local.verdicts[0].outcome is Outcome.REFUTED
    assert again().verdicts[0].outcome is Outcome.REFUTED
    # What tells of the moment only does not hide what was seen.
    starved = FakeRunner(lambda cell, key: failed(cell, Reason.OUT_OF_MEMORY, key))
    run_on_engine(tmp_path, starved, image_environments("sha256:two"))
    assert again().verdicts[0].outcome is Outcome.REFUTED


def test_a_lost_engine_ends_the_run_at_once_and_keeps_nothing_of_what_it_left(
    tmp_path: Path,
) -> None:
    def answer(cell: str, key: str) -> CellCapture:
        lost = failed(cell, Reason.ENGINE_LOST, key)
        return lost if cell == BEFORE else capture(cell, key)

    first, second = claim(1), claim(2)
    parts = [
        part(first, before=None, controls=()),
        part(second, minimum=BEFORE, before=CONTROL, controls=()),
    ]
    of = plan([first, second], parts)
    runner = FakeRunner(answer)
    result, events = run_on_engine(tmp_path, runner, image_environments("sha256:one"), of)
    assert runner.ran == [MINIMUM, BEFORE], "the last one does not wait for an engine"
    assert runner.killed.is_set()
    done, open_ = result.verdicts
    assert done.outcome is Outcome.CONFIRMED
    assert open_.reason is Reason.ENGINE_LOST
    assert result.run.lost
    assert exit_code(result, strict=False) is ExitCode.ENGINE_UNAVAILABLE
    (warned,) = (event for event in events if isinstance(event, WarningRaised))
    assert "engine was lost" in warned.message
    assert "2 cells not run" in warned.message
    assert not (tmp_path / "captures" / BEFORE).exists()
    later = FakeRunner(responses())
    result, _ = run_on_engine(tmp_path, later, image_environments("sha256:one"), of)
    assert later.ran == [BEFORE, CONTROL]
    assert not result.run.lost


def test_an_engine_that_is_lost_while_environments_are_made_ends_the_run_too(
    tmp_path: Path,
) -> None:
    runner = FakeRunner(responses())
    result, _ = run_on_engine(tmp_path, runner, FakeEnvironments({MINIMUM: Reason.ENGINE_LOST}))
    assert runner.ran == []
    assert {item.reason for item in result.cells} == {Reason.ENGINE_LOST}


@pytest.mark.parametrize("reason", [Reason.CONTAINER_LOST, Reason.WRONG_IMAGE, Reason.NO_IMAGE])
def test_what_tells_of_the_engine_only_is_tried_again(tmp_path: Path, reason: Reason) -> None:
    def answer(cell: str, key: str) -> CellCapture:
        return failed(cell, reason, key) if cell == BEFORE else capture(cell, key)

    run_on_engine(tmp_path, FakeRunner(answer), image_environments("sha256:one"))
    again = FakeRunner(responses())
    run_on_engine(tmp_path, again, image_environments("sha256:one"))
    assert again.ran == [BEFORE]


class Counting(FakeRunner):
    """Lets cells run until all that may run at once do; counts those for ARM."""

    def __init__(self) -> None:
        super().__init__(lambda cell, key: None)
        self.most = {"linux_x86_64": 0, "linux_aarch64": 0}

    def submit(self, request: CellRequest, report: Report) -> Future[CellResult]:
        future = super().submit(request, report)
        for target in self.most:
            busy = sum(target in cell for cell, _, _ in self.hanging)
            self.most[target] = max(self.most[target], busy)
        threading.Timer(0.05, self._end, (request.planned.cell.id, request.key, future)).start()
        return future

    def _end(self, cell: str, key: str, future: Future[CellResult]) -> None:
        self.hanging.remove((cell, key, future))
        future.set_result(CellResult(capture(cell, key)))


def test_fewer_emulated_cells_run_at_a_time_and_the_others_go_past_them(tmp_path: Path) -> None:
    arm = [MINIMUM.replace("x86_64", "aarch64").replace("1.9.0", f"1.9.{n}") for n in range(3)]
    cells = [*arm, MINIMUM, BEFORE, CONTROL]
    emulated = (part(claim(), minimum=item, before=None, controls=()) for item in arm)
    parts = [*emulated, part(claim())]
    runner = Counting()
    environments = FakeEnvironments(ready=True)
    result, _ = run_on_engine(
        tmp_path,
        runner,
        environments,
        plan([claim()], parts, cells=cells),
        jobs=3,
        emulated=frozenset({"linux_aarch64"}),
        emulated_jobs=1,
    )
    assert runner.most == {"linux_aarch64": 1, "linux_x86_64": 2}
    assert {item.id for item in result.cells} == set(cells)


class FakeCatalog:
    """Images that are there, must be made, or cannot be had."""

    def __init__(self, held_image: Image | None = None, error: Exception | None = None) -> None:
        self.image = held_image
        self.error = error
        self.made = 0

    def find(self, python: str, target: str) -> Image | None:
        if self.error:
            raise self.error
        return self.image

    def ensure(self, python: str, target: str, report: Report) -> Image:
        self.made += 1
        report(f"image of CPython {python} for {target}: made")
        self.image = image(target, python=python)
        return self.image


class FakeTrees:
    """Packages that are ready as soon as they were asked for once."""

    def __init__(self) -> None:
        self.there: dict[tuple[str, Requirements], Environment] = {}

    def peek(self, image: Image, requirements: Requirements) -> Environment | None:
        return self.there.get((image.digest, requirements))

    def ensure(self, image: Image, requirements: Requirements) -> Environment:
        made = FakeEnvironments(ready=True)
        made.image = image
        cell = planned(MINIMUM)
        self.there[image.digest, requirements] = dataclasses.replace(
            made._make(cell), key=repr(requirements)
        )
        return self.there[image.digest, requirements]


def test_an_image_is_made_once_for_all_its_cells_and_that_is_told(tmp_path: Path) -> None:
    catalog, trees = FakeCatalog(), FakeTrees()
    _, events = run_on_engine(
        tmp_path, FakeRunner(responses()), ImageEnvironments(catalog, trees, PROBES)
    )
    assert catalog.made == 1
    messages = [event for event in events if isinstance(event, Message)]
    assert messages == [Message("image of CPython 3.9 for linux_x86_64: made")]
    assert RunStarted(plan(), 1, DOCKER) in events
    again = FakeRunner(responses())
    _, events = run_on_engine(tmp_path, again, ImageEnvironments(catalog, trees, PROBES))
    assert again.ran == []
    assert not any(isinstance(event, Message) for event in events)


def test_an_image_that_cannot_be_had_makes_its_cells_unverified(tmp_path: Path) -> None:
    catalog = FakeCatalog(error=ImageError(Reason.NO_IMAGE, "no image of CPython 3.9"))
    result, _ = run_on_engine(
        tmp_path, FakeRunner(responses()), ImageEnvironments(catalog, FakeTrees(), PROBES)
    )
    assert result.verdicts[0].reason is Reason.NO_IMAGE
    assert not result.run.lost
    there = FakeRunner(responses())
    run_on_engine(tmp_path, there, ImageEnvironments(FakeCatalog(), FakeTrees(), PROBES))
    assert there.ran == [MINIMUM, BEFORE, CONTROL], "nothing was kept of it"


def test_an_image_that_could_not_be_made_is_not_made_for_each_of_its_cells() -> None:
    class Failing(FakeCatalog):
        def ensure(self, python: str, target: str, report: Report) -> Image:
            self.made += 1
            raise ImageError(Reason.NO_IMAGE, "it cannot be made")

    catalog = Failing()
    environments = ImageEnvironments(catalog, FakeTrees(), PROBES)
    for cell in (MINIMUM, BEFORE, OLDER):
        with pytest.raises(BuildError, match="it cannot be made"):
            environments.ensure(planned(cell), lambda _text: None)
    assert catalog.made == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (EngineLostError("gone"), Reason.ENGINE_LOST),
        (ContainerError("no"), Reason.INTERNAL_ERROR),
        (ImageError(Reason.WRONG_IMAGE, "it is arm64"), Reason.WRONG_IMAGE),
    ],
)
def test_errors_of_the_engine_are_reasons(error: Exception, reason: Reason) -> None:
    environments = ImageEnvironments(FakeCatalog(error=error), FakeTrees(), PROBES)
    for _ in range(2):
        with pytest.raises(BuildError) as caught:
            environments.peek(planned(MINIMUM))
        assert caught.value.reason is reason
