"""Runs of fake cells, whole and in shards, in real results folders."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from helpers.run_fakes import (
    DAY,
    PROBE,
    PROBES,
    SNAPSHOT,
    FakeClock,
    FakeEnvironments,
    FakeRunner,
    capture,
    cell,
    claim,
    failed,
    part,
)
from matrix.distributed.collect import CollectedRun, collect
from matrix.distributed.gather import DEFAULT_LIMITS, GatherLimits, JudgeRules
from matrix.distributed.manifest import Manifest, Shard
from matrix.distributed.shard_run import ShardRun, run_shard, shards_folder
from matrix.distributed.shards import group_cells
from matrix.model.capture import CellCapture
from matrix.model.cell import Cell
from matrix.model.claim import Claim
from matrix.model.plan import Part, Plan, PlannedCell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.model.verdict import Verdict
from matrix.runs import run as run_module
from matrix.runs.events import Event
from matrix.runs.interface import RunContext
from matrix.runs.keys import judge_key, judge_sources
from matrix.runs.record import Record
from matrix.runs.result_store import ResultStore
from matrix.runs.run import OpenRunContext, verify
from matrix.runs.setup import RunOptions

TARGET = "linux_x86_64"
RULES = JudgeRules(PROBES, judge_key(judge_sources(), PROBES))
VERSIONS = ("1.9.0", "1.8.0", "1.20.0", "1.10.0", "1.7.0")
Responses = Mapping[str, str | Reason]
"""By cell id: the body of the response, or the reason of the failure. Others have `blocked`."""

# Reasons of cells whose environment cannot be built, at once or after a while.
WITHOUT_ENVIRONMENT = {Reason.NO_INTERPRETER, Reason.BUILD_FAILED}


def some_plan(pythons: Sequence[str] = ("3.8", "3.9", "3.10")) -> Plan:
    """Return a plan with a claim for each CPython, none compared with another."""
    claims = [claim(number) for number, _ in enumerate(pythons, start=1)]
    parts = [some_part(number, python) for number, python in enumerate(pythons, start=1)]
    return planned_for(claims, parts)


def planned_for(claims: Sequence[Claim], parts: Sequence[Part]) -> Plan:
    """Return the plan of all cells that the parts need."""
    required = dict.fromkeys(cell for part in parts for cell in part.required)
    reserve = dict.fromkeys(cell for part in parts for cell in part.cells if cell not in required)
    return Plan(
        profile="documented",
        snapshot=SNAPSHOT,
        claims=tuple(claims),
        parts=tuple(parts),
        cells=tuple(map(_planned, required)),
        fallbacks=tuple(map(_planned, reserve)),
        omissions=(),
        targets=(TARGET,),
    )


def _planned(planned: Cell) -> PlannedCell:
    return PlannedCell(planned, DAY, (PROBE,), (PROBE,), soak=planned == cell("1.9.0"))


def some_part(number: int, python: str, controls: int = 3) -> Part:
    minimum, before, *others = (cell(version, python) for version in VERSIONS)
    return part(claim(number), minimum=minimum, before=before, controls=tuple(others[:controls]))


def in_shards(plan: Plan, count: int = 3) -> Manifest:
    """Return the plan in so many shards; cells that are compared are in one of them."""
    groups = group_cells(plan)
    order = [planned.cell.id for planned in (*plan.cells, *plan.fallbacks)]
    shards = []
    for number in range(min(count, len(groups))):
        cells, reserve = (
            tuple(
                sorted(
                    (cell for group in groups[number::count] for cell in getattr(group, name)),
                    key=order.index,
                )
            )
            for name in ("cells", "reserve")
        )
        shards.append(Shard(f"{TARGET}-{number + 1:02}", TARGET, "local", cells, reserve, 1.0))
    return Manifest(plan, tuple(shards), "a" * 64, "the time of each release", "b" * 64)


@dataclasses.dataclass
class FakeWorld:
    """A world whose cells have these responses; it dies after `dies` cells."""

    responses: Responses
    dies: int | None = None
    ran: list[str] = dataclasses.field(default_factory=list)

    def open(self) -> OpenRunContext:
        @contextlib.contextmanager
        def world(
            _folder: Path, _options: RunOptions, _probes: Mapping[str, Probe], _store: ResultStore
        ) -> Iterator[RunContext]:
            failures = {
                name: response
                for name, response in self.responses.items()
                if isinstance(response, Reason) and response in WITHOUT_ENVIRONMENT
            }
            environments, runner = FakeEnvironments(failures), FakeRunner(self.run)
            yield RunContext(environments, runner, FakeClock(), jobs=1, builders=1)

        return world

    def run(self, name: str, key: str) -> CellCapture:
        if self.dies is not None and len(self.ran) == self.dies:
            raise SystemExit(137)
        self.ran.append(name)
        response = self.responses.get(name, "blocked")
        if isinstance(response, Reason):
            return failed(name, response, key)
        return capture(name, key, body=response)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the results folder of runs that judge with the fake probe."""
    folder = tmp_path / "results"
    use_results(folder, monkeypatch)
    return folder


def use_results(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs write into the folder and judge with the fake probe."""
    monkeypatch.setenv("COMPAT_MATRIX_RESULTS", str(folder))
    monkeypatch.setattr(run_module, "load_probes", lambda: PROBES)


def run_whole(plan: Plan, responses: Responses, folder: Path) -> Record:
    events: list[Event] = []
    return verify(plan, RunOptions(jobs=1), events.append, FakeWorld(responses).open(), folder)


def run_one(
    manifest: Manifest, number: int, responses: Responses, *, dies: int | None = None
) -> ShardRun:
    """Run a shard; with `dies`, it ends after so many cells like a killed process, untidied."""
    events: list[Event] = []
    world = FakeWorld(responses, dies)
    return run_shard(
        manifest, manifest.shards[number], RunOptions(jobs=1), events.append, world.open()
    )


def run_all(manifest: Manifest, responses: Responses) -> None:
    for number, _ in enumerate(manifest.shards):
        run_one(manifest, number, responses)


def gathered(
    manifest: Manifest, results: Path, *folders: Path, limits: GatherLimits = DEFAULT_LIMITS
) -> CollectedRun:
    return collect(manifest, folders or [shards_folder(results, manifest)], RULES, limits)


def judged(collected: CollectedRun) -> Record:
    events: list[Event] = []
    return collected.judge(PROBES, events.append)


def verdicts(record: Record) -> dict[str, Verdict]:
    return {verdict.claim: verdict for verdict in record.verdicts}


def cells(record: Record) -> dict[str, tuple[object, ...]]:
    """Return everything that a report shows of each cell."""
    return {
        line.id: (
            line.probes,
            line.reason,
            line.detail,
            line.seconds,
            line.reused,
            line.fallback,
            line.key,
            line.started,
            line.findings,
            line.where,
        )
        for line in record.cells
    }
