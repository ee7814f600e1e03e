"""Searches over the releases of the small index, with a fake runner of their cells."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from helpers.planning_fixture import LINUX, page, world
from helpers.run_fakes import (
    CHANNEL,
    PROBE,
    FakeClock,
    FakeEnvironments,
    FakeRunner,
    Says,
    capture,
    exchange,
    failed,
    process,
    traced,
)
from matrix.features.minimum.plan import plan_searches
from matrix.features.minimum.run import (
    CellOracle,
    MinimumOptions,
    ReleasesSearched,
    SearchResult,
    search_minimum,
)
from matrix.features.minimum.search_plan import SearchOptions, SearchPlan, parse_subject
from matrix.model.capture import CellCapture, ProcessCapture
from matrix.model.cell import Cell
from matrix.model.claim import Claim
from matrix.model.probe import Channel, Probe, Stimulus
from matrix.model.reason import Reason
from matrix.planning.coverage import load_coverage
from matrix.runs.events import CellFinished
from matrix.runs.interface import RunContext
from matrix.runs.journal import Journal
from matrix.runs.keys import judge_key
from matrix.runs.result_store import CaptureStore, ResultStore

OTHER = "remote"
_ATTACK = (Stimulus("attack", Says("blocked"), "/{shop}/"),)
PROBES: Mapping[str, Probe] = {
    PROBE: Probe(
        PROBE, "Two ways", tuple(Channel(name, "appsec", _ATTACK) for name in (CHANNEL, OTHER))
    )
}

Answer = str | Reason
Answers = Callable[[str], tuple[Answer, Answer]]
"""Returns the answers of a release on the two channels: W, F, or a reason for which it fails."""


def search_plan(
    subject: str = "threat-detection", claims: list[Claim] | None = None, **options: str
) -> SearchPlan:
    (plan,) = search_plans(subject, claims, **options)
    return plan


def search_plans(
    subject: str = "threat-detection",
    claims: list[Claim] | None = None,
    target: str = LINUX,
    **options: object,
) -> tuple[SearchPlan, ...]:
    claims, coverage = claims or page(), load_coverage()
    search_options = SearchOptions(target=target, **options)  # type: ignore[arg-type]
    parsed = parse_subject(subject, claims, coverage)
    return plan_searches(parsed, claims, world(), coverage, search_options)


def both(**options: str) -> SearchPlan:
    """Return a search on Django for both channels."""
    options = {"python": "3.9", **options}
    plan = search_plan("threat-detection", None, framework="django", **options)
    return dataclasses.replace(plan, channels=(CHANNEL, OTHER))


def since(release: str, other: str = "") -> Answers:
    """Return answers that work from a release on, on the other channel from another one."""
    order = list(both().cells)

    def answers(ddtrace: str) -> tuple[Answer, Answer]:
        position = order.index(ddtrace)
        first, second = order.index(release), order.index(other or release)
        return "W" if position >= first else "F", "W" if position >= second else "F"

    return answers


def _process(setting: str, answers: tuple[Answer, Answer], version: str) -> ProcessCapture:
    control = setting == "off"
    warm = exchange(f"Welcome to s{1:015x}", warm_up=True)
    sent = [warm]
    for number, (channel, answer) in enumerate(
        zip((CHANNEL, OTHER), answers, strict=True), start=2
    ):
        body = "blocked" if answer == "W" and not control else "fine"
        request = exchange(body, control=control, number=number)
        sent.append(dataclasses.replace(request, channel=channel))
    return process(setting, "", version, exchanges=tuple(sent), agent=traced(sent, version))


def make_capture(cell_id: str, key: str, answers_of: Answers) -> CellCapture:
    version = Cell.parse(cell_id).ddtrace
    answers = answers_of(version)
    if isinstance(answers[0], Reason):
        return failed(cell_id, answers[0], key)
    return capture(
        cell_id, key, processes=[_process(name, answers, version) for name in ("appsec", "off")]
    )


class Search:
    """One search with a results folder, and its events."""

    def __init__(
        self,
        folder: Path,
        answers_of: Answers,
        *,
        jobs: int = 1,
        environments: FakeEnvironments | None = None,
        stop_after: int = 0,
    ) -> None:
        self.events: list[object] = []
        self.runner = FakeRunner(lambda cell, key: make_capture(cell, key, answers_of))
        self.jobs = jobs
        self._folder = folder
        self._environments = environments or FakeEnvironments(ready=True)
        self._stop_after = stop_after

    def run(
        self, plan: SearchPlan, *, exhaustive: bool = False, fresh: bool = False
    ) -> SearchResult:
        sources = "code"
        with contextlib.closing(Journal(self._folder / "journal.jsonl")) as journal:
            store = ResultStore(
                journal,
                CaptureStore(self._folder / "captures"),
                sources,
                judge_key(sources, PROBES),
                reuse=not fresh,
            )
            context = RunContext(
                self._environments, self.runner, FakeClock(), jobs=self.jobs, builders=1
            )
            self.oracle = CellOracle(PROBES, context, store, self._take)
            options = MinimumOptions(exhaustive=exhaustive, fresh=fresh, jobs=self.jobs)
            return search_minimum(plan, self.oracle, options, self._take, FakeClock())

    def steps(self, kind: type) -> list[tuple[str, object]]:
        return [
            (each.channel, each.event)
            for each in self.events
            if isinstance(each, ReleasesSearched) and isinstance(each.event, kind)
        ]

    def _take(self, event: object) -> None:
        self.events.append(event)
        ended = sum(isinstance(each, CellFinished) for each in self.events)
        if self._stop_after and ended == self._stop_after and isinstance(event, CellFinished):
            self.oracle.stop()
