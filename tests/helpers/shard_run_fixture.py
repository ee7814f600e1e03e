"""Runs of made-up plans in made-up worlds, whole and in shards, in real results folders."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from helpers.run_fakes import (
    PROBES,
    FakeClock,
    FakeEnvironments,
    FakeRunner,
    capture,
    cell,
    claim,
    failed,
    part,
    plan,
)
from matrix.distributed.collect import CollectedRun, collect
from matrix.distributed.gather import JudgeRules
from matrix.distributed.manifest import Manifest, Shard
from matrix.distributed.shard_run import ShardRun, run_shard, shards_folder
from matrix.distributed.shards import groups_of
from matrix.model.capture import CellCapture
from matrix.model.claim import Claim
from matrix.model.plan import Part, Plan
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.model.verdict import Verdict
from matrix.runs.events import Event
from matrix.runs.keys import judge_key, judge_sources
from matrix.runs.result import RunResult
from matrix.runs.result_store import ResultStore
from matrix.runs.run import OpenWorld, RunOptions, verify
from matrix.runs.scheduler import RunContext
from matrix.runs.setup import SetupOptions

TARGET = "linux_x86_64"
RULES = JudgeRules(PROBES, judge_key(judge_sources(), PROBES))
VERSIONS = ("1.9.0", "1.8.0", "1.20.0", "1.10.0", "1.7.0")
Answers = Mapping[str, str | Reason]
"""What each cell says: the body of its answer, or why it fails. The others say `blocked`."""

# Reasons of cells for which no environment can be had, at once or after a while.
WITHOUT = {Reason.NO_INTERPRETER, Reason.BUILD_FAILED}


def some_plan(pythons: Sequence[str] = ("3.8", "3.9", "3.10")) -> Plan:
    """Return a plan with a claim for each CPython, none compared with another."""
    claims = [claim(number) for number, _ in enumerate(pythons, start=1)]
    parts = [some_part(number, python) for number, python in enumerate(pythons, start=1)]
    return planned_for(claims, parts)


def planned_for(claims: Sequence[Claim], parts: Sequence[Part]) -> Plan:
    """Return the plan of all cells that the parts need."""
    cells = dict.fromkeys(each for one in parts for each in one.asked)
    reserve = dict.fromkeys(each for one in parts for each in one.cells if each not in cells)
    made = plan(claims, parts, cells=cells, fallbacks=reserve)
    return dataclasses.replace(made, targets=(TARGET,))


def some_part(number: int, python: str, controls: int = 3) -> Part:
    minimum, before, *others = (cell(version, python).id for version in VERSIONS)
    return part(claim(number), minimum=minimum, before=before, controls=tuple(others[:controls]))


def shared_out(of: Plan, count: int = 3) -> Manifest:
    """Return the plan in so many shards, what is compared in one of them."""
    groups = groups_of(of)
    order = [each.cell.id for each in (*of.cells, *of.fallbacks)]
    shards = []
    for number in range(min(count, len(groups))):
        mine = groups[number::count]
        cells, reserve = (
            tuple(sorted((x for group in mine for x in getattr(group, name)), key=order.index))
            for name in ("cells", "reserve")
        )
        shards.append(Shard(f"{TARGET}-{number + 1:02}", TARGET, "local", cells, reserve, 1.0))
    return Manifest(of, tuple(shards), "a" * 64, "the time of each release", "b" * 64)


@dataclasses.dataclass
class MadeUp:
    """A world in which cells say what they are told to; `dies` after so many cells."""

    answers: Answers
    dies: int | None = None
    ran: list[str] = dataclasses.field(default_factory=list)

    def open(self) -> OpenWorld:
        @contextlib.contextmanager
        def world(
            _folder: Path, _how: SetupOptions, _probes: Mapping[str, Probe], _keeping: ResultStore
        ) -> Iterator[RunContext]:
            without = {
                name: said
                for name, said in self.answers.items()
                if isinstance(said, Reason) and said in WITHOUT
            }
            environments = FakeEnvironments(without)
            yield RunContext(
                environments, FakeRunner(self._answer), FakeClock(), jobs=1, builders=1
            )

        return world

    def _answer(self, name: str, key: str) -> CellCapture:
        if self.dies is not None and len(self.ran) == self.dies:
            raise SystemExit(137)
        self.ran.append(name)
        said = self.answers.get(name, "blocked")
        return (
            failed(name, said, key) if isinstance(said, Reason) else capture(name, key, body=said)
        )


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the results folder, in which runs judge by the made-up probe."""
    folder = tmp_path / "results"
    monkeypatch.setenv("COMPAT_MATRIX_RESULTS", str(folder))
    monkeypatch.setattr("matrix.runs.run.load_probes", lambda: PROBES)
    return folder


def run_whole(of: Plan, answers: Answers, folder: Path) -> RunResult:
    events: list[Event] = []
    return verify(of, RunOptions(jobs=1), events.append, MadeUp(answers).open(), folder)


def run_one(
    manifest: Manifest, number: int, answers: Answers, *, dies: int | None = None
) -> ShardRun:
    """Run a shard; one that `dies` does so as a process that is killed: nothing is tidied up."""
    events: list[Event] = []
    world = MadeUp(answers, dies)
    return run_shard(
        manifest, manifest.shards[number], RunOptions(jobs=1), events.append, world.open()
    )


def run_all(manifest: Manifest, answers: Answers) -> None:
    for number, _ in enumerate(manifest.shards):
        run_one(manifest, number, answers)


def gathered(manifest: Manifest, results: Path, *folders: Path) -> CollectedRun:
    return collect(manifest, folders or [shards_folder(results, manifest)], RULES)


def judged(found: CollectedRun) -> RunResult:
    events: list[Event] = []
    return found.judged(PROBES, events.append)


def verdicts(result: RunResult) -> dict[str, Verdict]:
    return {verdict.claim: verdict for verdict in result.verdicts}


def cells(result: RunResult) -> dict[str, tuple[object, ...]]:
    """Return what a report says of each cell."""
    return {
        each.cell: (
            each.probes,
            each.reason,
            each.detail,
            each.seconds,
            each.reused,
            each.fallback,
            each.key,
            each.started,
            each.findings,
            each.where,
        )
        for each in result.cells
    }
