"""The run of a shard: its folder, its seal, and the ways in which it can end early."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from helpers.run_fakes import cell
from helpers.shard_run_fixture import (
    FakeWorld,
    gathered,
    in_shards,
    judged,
    results,
    run_all,
    run_one,
    run_whole,
    some_plan,
    verdicts,
)

from matrix.distributed.manifest import Manifest, shard_plan
from matrix.distributed.shard_run import (
    ShardFile,
    ShardStatus,
    check_project,
    find_shard,
    run_shard,
    shards_folder,
)
from matrix.distributed.untrusted import sha256
from matrix.errors import AnotherRunError, ExitCode, StorageError, UsageError
from matrix.model.capture import CellCapture
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.runs.events import Event, VerdictReached
from matrix.runs.journal import lock_results
from matrix.runs.result_store import CaptureStore
from matrix.runs.setup import RunOptions

__all__ = ["results"]

ABSENT = {cell("1.9.0", "3.9").id: "welcome", cell("1.20.0", "3.9").id: "welcome"}


@pytest.fixture
def manifest() -> Manifest:
    return in_shards(some_plan())


def test_a_shard_runs_its_cells_and_the_further_controls_they_need(
    results: Path, manifest: Manifest
) -> None:
    ran = run_one(manifest, 1, ABSENT)
    assert ran.exit_code is ExitCode.OK, "what its cells show is not for it to judge"
    assert {line.id for line in ran.result.cells} == {
        *manifest.shards[1].cells,
        cell("1.10.0", "3.9").id,
    }
    assert ran.folder == results / "shards" / manifest.id[:12] / manifest.shards[1].name
    assert not (results / "journal.jsonl").exists()
    assert "3 of 3 cells and 1 further controls" in str(ran)


def test_the_folder_has_a_shard_file_with_a_seal(results: Path, manifest: Manifest) -> None:
    folder = run_one(manifest, 0, {}).folder
    shard_file = ShardFile.read(folder)
    assert (shard_file.manifest, shard_file.shard, shard_file.project) == (
        manifest.id,
        manifest.shards[0].name,
        manifest.project,
    )
    journal = (folder / "journal.jsonl").read_bytes()
    assert shard_file.seal is not None
    assert shard_file.seal.ended is ShardStatus.COMPLETE
    assert (shard_file.seal.journal, shard_file.seal.size) == (sha256(journal), len(journal))
    assert {result.cell for result in shard_file.seal.kept} == set(manifest.shards[0].cells)


def test_while_it_runs_it_has_no_seal(results: Path, manifest: Manifest) -> None:
    folder = run_one(manifest, 0, {}).folder
    with pytest.raises(SystemExit):
        run_shard(
            manifest,
            manifest.shards[0],
            RunOptions(jobs=1, fresh=True),
            lambda _event: None,
            FakeWorld({}, dies=1).open(),
        )
    assert ShardFile.read(folder).seal is None


def test_a_shard_emits_no_verdicts(results: Path, manifest: Manifest) -> None:
    events: list[Event] = []
    run_shard(manifest, manifest.shards[0], RunOptions(jobs=1), events.append, FakeWorld({}).open())
    assert events
    assert not [event for event in events if isinstance(event, VerdictReached)]


def test_a_killed_shard_resumes(tmp_path: Path, results: Path, manifest: Manifest) -> None:
    with pytest.raises(SystemExit):
        run_one(manifest, 1, ABSENT, dies=2)
    collected = gathered(manifest, results)
    assert [missing.shard for missing in collected.missing] == [s.name for s in manifest.shards]
    assert "killed, or still running: 1 of 3 cells missing" in collected.problems[1]
    again = FakeWorld(ABSENT)
    run_shard(manifest, manifest.shards[1], RunOptions(jobs=1), lambda _: None, again.open())
    assert len(again.ran) == 2, "the third cell, and the further control"
    for number in (0, 2):
        run_one(manifest, number, ABSENT)
    complete = gathered(manifest, results)
    assert not complete.problems
    whole = run_whole(manifest.plan, ABSENT, tmp_path / "whole")
    assert verdicts(judged(complete)) == verdicts(whole)


def test_a_further_control_that_never_ran_is_missing(results: Path, manifest: Manifest) -> None:
    for number in (0, 2):
        run_one(manifest, number, ABSENT)
    with pytest.raises(SystemExit):
        run_one(manifest, 1, ABSENT, dies=3)
    (missing,) = gathered(manifest, results).missing
    assert missing.cells == (cell("1.10.0", "3.9").id,)
    assert missing.expected == 4


def test_a_shard_that_runs_twice_reuses_its_results(results: Path, manifest: Manifest) -> None:
    first = run_one(manifest, 0, {})
    world = FakeWorld({})
    second = run_shard(
        manifest, manifest.shards[0], RunOptions(jobs=1), lambda _: None, world.open()
    )
    assert world.ran == []
    assert second.seal.kept == first.seal.kept


def test_older_results_of_the_machine_are_not_used(results: Path, manifest: Manifest) -> None:
    run_whole(manifest.plan, {}, results)
    world = FakeWorld({})
    run_shard(manifest, manifest.shards[0], RunOptions(jobs=1), lambda _: None, world.open())
    assert len(world.ran) == len(manifest.shards[0].cells)


def test_ctrl_c_ends_it_as_interrupted(results: Path, manifest: Manifest) -> None:
    class InterruptedWorld(FakeWorld):
        def run(self, name: str, key: str) -> CellCapture:
            os.kill(os.getpid(), signal.SIGINT)
            return super().run(name, key)

    world = InterruptedWorld({}).open()
    ran = run_shard(manifest, manifest.shards[0], RunOptions(jobs=1), lambda _: None, world)
    assert ran.exit_code is ExitCode.INTERRUPTED
    assert ran.seal.ended is ShardStatus.INTERRUPTED
    (missing, *_) = gathered(manifest, results).missing
    assert ": interrupted: " in str(missing)


def test_two_shards_run_at_once_but_one_shard_only_once(results: Path, manifest: Manifest) -> None:
    folder = shards_folder(results, manifest)
    with lock_results(folder / manifest.shards[0].name), lock_results(results):
        assert run_one(manifest, 1, {}).exit_code is ExitCode.OK
        with pytest.raises(AnotherRunError):
            run_one(manifest, 0, {})


def test_a_shard_without_written_results_is_not_complete(
    results: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: CaptureStore, capture: CellCapture) -> Path:
        raise StorageError("the disk is full", "")

    with monkeypatch.context() as patched:
        patched.setattr(CaptureStore, "write", full)
        ran = run_one(manifest, 0, {})
    assert ran.exit_code is ExitCode.STORAGE
    assert ran.seal.ended is ShardStatus.UNSAVED
    assert any("the disk is full" in warning for warning in ran.seal.warnings)
    assert "not all results could be written" in gathered(manifest, results).problems[0]


def test_superseded_results_of_an_earlier_run_do_not_count(
    results: Path, manifest: Manifest
) -> None:
    # Out of memory is tried again; the further control of the first time is not needed any more.
    minimum, control = cell("1.9.0", "3.9").id, cell("1.20.0", "3.9").id
    first = run_one(manifest, 1, {minimum: "welcome", control: Reason.OUT_OF_MEMORY})
    assert any(line.fallback for line in first.result.cells)
    second = run_one(manifest, 1, {minimum: "welcome"})
    assert not any(line.fallback for line in second.result.cells)
    collected = gathered(manifest, results)
    assert {result.cell for result in second.seal.kept} == set(manifest.shards[1].cells)
    assert collected.results.keys() == set(manifest.shards[1].cells)


def test_an_unknown_shard_has_a_suggestion() -> None:
    manifest = in_shards(some_plan())
    assert find_shard(manifest, "linux_x86_64-01") is manifest.shards[0]
    with pytest.raises(UsageError, match="did you mean 'linux_x86_64-01'"):
        find_shard(manifest, "linux_x86-01")


def test_a_manifest_of_another_version_is_refused(manifest: Manifest) -> None:
    check_project(manifest, manifest.project, Path("m.json"))
    with pytest.raises(UsageError, match=r"another version of this project made m\.json"):
        check_project(manifest, "c" * 64, Path("m.json"))


def test_a_shard_file_is_plain_json(results: Path, manifest: Manifest) -> None:
    run_all(manifest, {})
    for path in shards_folder(results, manifest).glob("*/shard.json"):
        assert json.loads(path.read_text())["schema"] == "shard/1"


def test_the_plan_of_a_shard_has_its_cells_and_no_other(manifest: Manifest) -> None:
    def ids(cells: tuple[PlannedCell, ...]) -> tuple[str, ...]:
        return tuple(planned.cell.id for planned in cells)

    for shard in manifest.shards:
        plan = shard_plan(manifest.plan, shard)
        assert (ids(plan.cells), ids(plan.fallbacks)) == (shard.cells, shard.reserve)
        assert {claim.id for claim in plan.claims} == {part.claim for part in plan.parts}
