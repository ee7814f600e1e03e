"""Crashes that a shard counted at another release decide in the collected run as in a whole one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from helpers.run_fakes import CHANNEL, PROBE, capture, cell, process
from helpers.shard_run_fixture import (
    FakeWorld,
    cells,
    gathered,
    in_shards,
    judged,
    results,
    some_plan,
    verdicts,
)

from matrix.distributed.collect import write_results
from matrix.distributed.manifest import Manifest
from matrix.distributed.shard_run import CAPTURES, JOURNAL, ShardRun, run_shard
from matrix.model.capture import CellCapture, ProcessCapture
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome
from matrix.runs.journal import Journal
from matrix.runs.record import Record
from matrix.runs.result_store import CaptureStore
from matrix.runs.run import verify
from matrix.runs.setup import RunOptions

__all__ = ["results"]

PYTHON = "3.8"
MINIMUM, CONTROL = cell("1.9.0", PYTHON).id, cell("1.20.0", PYTHON).id


def counts(version: str, setting: str, died: int) -> list[ProcessCapture]:
    own = f"{PROBE}/{CHANNEL}"
    lived = process(setting, "", version, purpose="count", counted=own, exchanges=(), agent=())
    dead = dataclasses.replace(lived, exit_code=-11, failed=Reason.CRASHED)
    return [dead] * died + [lived] * (10 - died)


@dataclasses.dataclass
class CrashWorld(FakeWorld):
    """The minimum dies in 7 of 10 processes, the control in `there`, when it is run for that."""

    there: int = 0

    def run(self, name: str, key: str) -> CellCapture:
        again = name in self.ran
        whole = super().run(name, key)
        if name == MINIMUM:
            here = (*counts("1.9.0", "appsec", 7), *counts("1.9.0", "off", 0))
            return dataclasses.replace(whole, processes=(*whole.processes, *here))
        if name == CONTROL and again:
            return capture(name, key, processes=counts("1.20.0", "appsec", self.there))
        return whole


def run_shards(
    manifest: Manifest, there: int, *, dies: int | None = None, ran: tuple[str, ...] = ()
) -> list[ShardRun]:
    worlds = [CrashWorld({}, dies, list(ran), there) for _ in manifest.shards]
    return [
        run_shard(manifest, shard, RunOptions(jobs=1), lambda _: None, world.open())
        for shard, world in zip(manifest.shards, worlds, strict=True)
    ]


def run_whole(folder: Path, there: int) -> Record:
    world = CrashWorld({}, there=there)
    return verify(some_plan(), RunOptions(jobs=1), lambda _: None, world.open(), folder)


@pytest.mark.parametrize(
    ("there", "outcome", "reason"),
    [(0, Outcome.REFUTED, Reason.CRASHES), (6, Outcome.UNVERIFIED, Reason.UNSTABLE)],
)
def test_a_count_at_another_release_decides(
    tmp_path: Path, results: Path, there: int, outcome: Outcome, reason: Reason
) -> None:
    whole = run_whole(tmp_path / "whole", there)
    manifest = in_shards(some_plan())
    run_shards(manifest, there)
    collected = gathered(manifest, results)
    assert not collected.problems
    record = judged(collected)
    assert [(v.outcome, v.reason) for v in record.verdicts if v.reason] == [(outcome, reason)]
    assert verdicts(record) == verdicts(whole)
    assert cells(record) == cells(whole), "a count is no result of its cell"


def test_counts_are_kept_with_the_collected_results(tmp_path: Path, results: Path) -> None:
    manifest = in_shards(some_plan())
    run_shards(manifest, 0)
    collected = gathered(manifest, results)
    write_results(collected.merged, tmp_path / "collected")
    entries = Journal(tmp_path / "collected" / JOURNAL).read().entries.values()
    assert [entry.cell for entry in entries if entry.count] == [CONTROL]


def test_a_shard_that_was_killed_before_it_counted_is_not_complete(results: Path) -> None:
    manifest = in_shards(some_plan((PYTHON,)))
    with pytest.raises(SystemExit):
        run_shards(manifest, 0, dies=3)
    collected = gathered(manifest, results)
    assert [missing.cells for missing in collected.missing] == [(CONTROL,)]
    run_shards(manifest, 0, ran=(CONTROL,))
    again = gathered(manifest, results)
    assert not again.problems
    assert judged(again).verdicts[0].reason is Reason.CRASHES


def test_a_count_whose_capture_is_gone_is_reported(results: Path) -> None:
    manifest = in_shards(some_plan((PYTHON,)))
    (run,) = run_shards(manifest, 0)
    assert not gathered(manifest, results).problems
    for entry in Journal(run.folder / JOURNAL).read().entries.values():
        if entry.count:
            CaptureStore(run.folder / CAPTURES).path(entry.cell, entry.key).unlink()
    assert "the capture of" in gathered(manifest, results).problems[0]
