"""Runs of the scheduler with fakes, on this machine and on an engine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

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
    image,
    plan,
)
from matrix.model.capture import CellCapture
from matrix.model.plan import Plan
from matrix.model.probe import Probe
from matrix.runs.events import CellFinished, Event
from matrix.runs.interface import Environments, RunContext, Runner
from matrix.runs.journal import Journal
from matrix.runs.keys import judge_key
from matrix.runs.record import Record
from matrix.runs.result_store import CaptureStore, ResultStore
from matrix.runs.scheduler import Scheduler

DOCKER = "Docker 20.10.24"
BODIES = {MINIMUM: "blocked", BEFORE: "welcome", CONTROL: "blocked", OLDER: "blocked"}


def responses(**bodies: str) -> Callable[[str, str], CellCapture | None]:
    """Return a runner's answers: the bodies, which `minimum` and others replace."""
    cells = {"minimum": MINIMUM, "before": BEFORE, "control": CONTROL, "older": OLDER}
    all_bodies = {**BODIES, **{cells[name]: body for name, body in bodies.items()}}
    return lambda cell, key: capture(cell, key, body=all_bodies[cell])


class SchedulerRun:
    """A scheduler over a results folder, and its events."""

    def __init__(
        self,
        folder: Path,
        runner: FakeRunner,
        environments: FakeEnvironments | None = None,
        of: Plan | None = None,
        *,
        fresh: bool = False,
        probes: Mapping[str, Probe] = PROBES,
        judge: str = "",
        journal: Journal | None = None,
        engine: str = "",
        first_answer: bool = False,
    ) -> None:
        self.events: list[Event] = []
        self.runner = runner
        self.journal = journal or Journal(folder / "journal.jsonl")
        sources = "code"
        store = ResultStore(
            self.journal,
            CaptureStore(folder / "captures"),
            sources,
            judge or judge_key(sources, probes),
            reuse=not fresh,
        )
        # One builder, so that the order of events is the plan's.
        context = RunContext(
            environments or FakeEnvironments(),
            runner,
            FakeClock(),
            jobs=1,
            builders=1,
            engine=engine,
            first_answer=first_answer,
        )
        self.scheduler = Scheduler(of or plan(), probes, context, store, self.events.append)

    def run(self) -> Record:
        with contextlib.closing(self.journal):
            return self.scheduler.run()

    def events_of(self, kind: type) -> list[object]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def reused(self) -> list[str]:
        return [item.cell for item in self.events if isinstance(item, CellFinished) and item.reused]


def run_on_engine(
    folder: Path,
    runner: Runner,
    environments: Environments,
    of: Plan | None = None,
    **context: object,
) -> tuple[Record, list[Event]]:
    """Run a plan with one builder, on an engine."""
    events: list[Event] = []
    with contextlib.closing(Journal(folder / "journal.jsonl")) as journal:
        sources = "code"
        captures = CaptureStore(folder / "captures")
        store = ResultStore(journal, captures, sources, judge_key(sources, PROBES))
        fields = {"jobs": 1, "builders": 1, "engine": DOCKER, **context}
        run_context = RunContext(environments, runner, FakeClock(), **fields)  # type: ignore[arg-type]
        record = Scheduler(of or plan(), PROBES, run_context, store, events.append).run()
    return record, events


def image_environments(digest: str) -> FakeEnvironments:
    environments = FakeEnvironments(ready=True)
    environments.image = image(digest=digest)
    return environments
