"""Searches over made-up releases, whose cells a made-up runner answers."""

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
    SearchPlanStarted,
    SearchResult,
    search_minimum,
)
from matrix.features.minimum.search_plan import SearchOptions, SearchPlan
from matrix.features.minimum.subject import parse_subject
from matrix.model.capture import CellCapture, ProcessCapture
from matrix.model.cell import Cell
from matrix.model.claim import Claim
from matrix.model.probe import Channel, Probe, Stimulus
from matrix.model.reason import Reason
from matrix.planning.coverage import load_coverage
from matrix.runs.captures import CaptureStore
from matrix.runs.events import CellFinished
from matrix.runs.journal import Journal
from matrix.runs.keys import Sources, judge_key
from matrix.runs.result_store import ResultStore
from matrix.runs.scheduler import RunContext

OTHER = "remote"
_ATTACK = (Stimulus("attack", Says("blocked"), "/{shop}/"),)
PROBES: Mapping[str, Probe] = {
    PROBE: Probe(
        PROBE, "Two ways", tuple(Channel(name, "appsec", _ATTACK) for name in (CHANNEL, OTHER))
    )
}

Answer = str | Reason
Answers = Callable[[str], tuple[Answer, Answer]]
"""What a release says on the two channels: W, F, or a reason for which the cell fails."""


def quest(
    subject: str = "threat-detection", claims: list[Claim] | None = None, **wanted: str
) -> SearchPlan:
    found = quests(subject, claims, **wanted)
    assert len(found) == 1
    return found[0]


def quests(
    subject: str = "threat-detection",
    claims: list[Claim] | None = None,
    target: str = LINUX,
    **wanted: object,
) -> tuple[SearchPlan, ...]:
    claims, coverage = claims or page(), load_coverage()
    asked = SearchOptions(target=target, **wanted)  # type: ignore[arg-type]
    return plan_searches(parse_subject(subject, claims, coverage), claims, world(), coverage, asked)


def both(**wanted: str) -> SearchPlan:
    """Return a search on Django for both channels."""
    made = quest("threat-detection", None, framework="django", **{"python": "3.9", **wanted})
    return dataclasses.replace(made, channels=(CHANNEL, OTHER))


def since(release: str, other: str = "") -> Answers:
    """Return what works from a release on; on the other channel from another one."""
    order = list(both().cells)

    def says(ddtrace: str) -> tuple[Answer, Answer]:
        at = order.index(ddtrace)
        first, second = order.index(release), order.index(other or release)
        return "W" if at >= first else "F", "W" if at >= second else "F"

    return says


def _process(setting: str, said: tuple[Answer, Answer], version: str) -> ProcessCapture:
    control = setting == "off"
    warm = exchange(f"Welcome to s{1:015x}", warm_up=True)
    sent = [warm]
    for number, (channel, word) in enumerate(zip((CHANNEL, OTHER), said, strict=True), start=2):
        body = "blocked" if word == "W" and not control else "fine"
        one = exchange(body, control=control, number=number)
        sent.append(dataclasses.replace(one, channel=channel))
    return process(setting, "", version, exchanges=tuple(sent), agent=traced(sent, version))


def captured(cell_id: str, key: str, says: Answers) -> CellCapture:
    version = Cell.parse(cell_id).ddtrace
    said = says(version)
    if isinstance(said[0], Reason):
        return failed(cell_id, said[0], key)
    return capture(
        cell_id, key, processes=[_process(name, said, version) for name in ("appsec", "off")]
    )


class Search:
    """One search over a results folder, with what it told."""

    def __init__(
        self,
        folder: Path,
        says: Answers,
        *,
        jobs: int = 1,
        environments: FakeEnvironments | None = None,
        stop_after: int = 0,
    ) -> None:
        self.events: list[object] = []
        self.runner = FakeRunner(lambda cell, key: captured(cell, key, says))
        self.jobs = jobs
        self._folder = folder
        self._environments = environments or FakeEnvironments(ready=True)
        self._stop_after = stop_after

    def run(self, of: SearchPlan, *, exhaustive: bool = False, fresh: bool = False) -> SearchResult:
        sources = Sources("code")
        with contextlib.closing(Journal(self._folder / "journal.jsonl")) as journal:
            keeping = ResultStore(
                journal,
                CaptureStore(self._folder / "captures"),
                sources,
                judge_key(sources, PROBES),
                reuse=not fresh,
            )
            outside = RunContext(
                self._environments, self.runner, FakeClock(), jobs=self.jobs, builders=1
            )
            self.questions = CellOracle(PROBES, outside, keeping, self._take)
            options = MinimumOptions(exhaustive=exhaustive, fresh=fresh, jobs=self.jobs)
            return search_minimum(of, self.questions, options, self._take, FakeClock())

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
            self.questions.stop()


__all__ = [
    "CHANNEL",
    "OTHER",
    "PROBES",
    "Search",
    "SearchPlanStarted",
    "both",
    "quest",
    "quests",
    "since",
]
