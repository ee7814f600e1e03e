"""An engine that nobody demanded, and that can have no image: its cells run on this machine."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from helpers.run_fakes import (
    BEFORE,
    CONTROL,
    MINIMUM,
    FakeEnvironments,
    FakeRunner,
    capture,
    claim,
    image,
    part,
    plan,
    planned,
)
from helpers.scheduler_runs import DOCKER, image_environments, responses, run_on_engine

from matrix.environments.errors import BuildError
from matrix.model.claim import ClaimKind
from matrix.model.environment import Environment
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome
from matrix.reporting.summary import location_lines
from matrix.runs.backend import FallbackEnvironments, FallbackRunner
from matrix.runs.events import WarningRaised
from matrix.runs.interface import CellRequest, Environments, Report

HERE = "linux_x86_64"
NEWER = CONTROL.replace("cp39", "cp311")
ARM = MINIMUM.replace("x86_64", "aarch64")
DETAIL = "registry: no route to host; debian: no mirror answers"


class Shut(FakeEnvironments):
    """Images, of which those for one CPython can be neither pulled nor made.

    `known` from the start, else when they are to be made.
    """

    def __init__(
        self, python: str, *, reason: Reason = Reason.NO_IMAGE, known: bool = False
    ) -> None:
        super().__init__(ready=True)
        self.image = image()
        self.python = python
        self.error = BuildError(reason, DETAIL)
        self.known = known

    def peek(self, planned: PlannedCell) -> Environment | str:
        if planned.cell.python != self.python:
            return super().peek(planned)
        if self.known:
            raise self.error
        return f"name of {planned.cell.id}"

    def ensure(self, planned: PlannedCell, report: Report) -> Environment:
        if planned.cell.python == self.python:
            raise self.error
        return super().ensure(planned, report)


def falling(images: Environments, here: FakeEnvironments | None = None) -> FallbackEnvironments:
    return FallbackEnvironments(images, lambda: here or FakeEnvironments(ready=True), HERE)


@pytest.mark.parametrize("known", [True, False])
def test_the_cells_without_an_image_run_here_and_it_is_said_once_for_each_cpython(
    tmp_path: Path, known: bool
) -> None:
    of = plan(cells=(MINIMUM, BEFORE, CONTROL))
    runner = FakeRunner(responses())
    result, events = run_on_engine(tmp_path, runner, falling(Shut("3.9", known=known)), of)
    assert sorted(runner.ran) == sorted([MINIMUM, BEFORE, CONTROL])
    assert result.verdicts[0].outcome is Outcome.CONFIRMED
    (warned,) = [event for event in events if isinstance(event, WarningRaised)]
    assert warned.message.startswith("no-image: ")
    assert "CPython 3.9 run on this machine" in warned.message
    assert DETAIL in warned.message
    assert result.run.warnings == (warned.message,)
    assert {cell.where.engine for cell in result.cells if cell.where} == {""}
    (line,) = location_lines(result)
    assert line.startswith("3 cells on this machine")
    again = FakeRunner(responses())
    result, _ = run_on_engine(tmp_path, again, falling(Shut("3.9", known=known)), of)
    assert again.ran == [], "what ran here counts here"
    assert result.run.warnings == (warned.message,)


def test_the_others_stay_in_their_images_and_both_are_counted(tmp_path: Path) -> None:
    of = plan(cells=(MINIMUM, NEWER), fallbacks=())
    runner = FakeRunner(lambda cell, key: responses()(cell.replace("cp311", "cp39"), key))
    result, _ = run_on_engine(tmp_path, runner, falling(Shut("3.9")), of)
    engines = {cell.id: cell.where.engine for cell in result.cells if cell.where}
    assert engines == {MINIMUM: "", NEWER: DOCKER}
    assert len(list(location_lines(result))) == 2


def test_no_promise_about_docker_is_answered_by_them(tmp_path: Path) -> None:
    anywhere, in_docker = claim(1), claim(2, ClaimKind.DEPLOYMENT)
    of = plan([anywhere, in_docker], [part(anywhere), part(in_docker, contained=True)])
    result, _ = run_on_engine(tmp_path, FakeRunner(responses()), falling(Shut("3.9")), of)
    assert [verdict.reason for verdict in result.verdicts] == [None, Reason.DEPLOYMENT_NOT_HERE]
    # Once there is an image it is: nothing of this machine stands in for it.
    runner = FakeRunner(responses())
    result, _ = run_on_engine(tmp_path, runner, falling(image_environments("sha256:one")), of)
    assert len(runner.ran) == 3
    assert {verdict.outcome for verdict in result.verdicts} == {Outcome.CONFIRMED}


@pytest.mark.parametrize(
    ("cell", "reason", "missing"),
    [
        (ARM, Reason.NO_IMAGE, False),
        (MINIMUM, Reason.NO_IMAGE, True),
        (MINIMUM, Reason.WRONG_IMAGE, False),
        (MINIMUM, Reason.ENGINE_LOST, False),
        (MINIMUM, Reason.BUILD_FAILED, False),
    ],
)
def test_what_this_machine_cannot_stand_in_for_says_what_the_engine_lacks(
    cell: str, reason: Reason, missing: bool
) -> None:
    class Lacking(FakeEnvironments):
        def peek(self, planned: PlannedCell) -> Environment | str:
            raise BuildError(Reason.NO_INTERPRETER, "no CPython here")

    here = Lacking(ready=True) if missing else FakeEnvironments(ready=True)
    both = falling(Shut("3.9", reason=reason), here)
    with pytest.raises(BuildError) as caught:
        both.ensure(planned(cell), lambda _text: None)
    assert (caught.value.reason, caught.value.detail) == (reason, DETAIL)
    assert here.built == []


def test_each_cell_goes_to_the_workers_of_its_place() -> None:
    inside_, here = FakeRunner(capture), FakeRunner(capture)
    both = FallbackRunner(inside_, here)
    made = FakeEnvironments(ready=True)._make(planned(MINIMUM))
    with_image = dataclasses.replace(made, image=image())
    in_pod = f"{MINIMUM}-in-kubernetes"
    for cell, environment in ((MINIMUM, made), (BEFORE, with_image), (in_pod, made)):
        both.submit(CellRequest(0, planned(cell), environment, ""), lambda _text: None)
    # Only workers that stay on the network reach a cluster.
    assert (here.ran, inside_.ran) == ([MINIMUM], [BEFORE, in_pod])
    both.kill()
    assert here.killed.is_set()
    assert inside_.killed.is_set()
