"""One shard, run: where its results lie, what seals them, and what can end it early."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from helpers.run_fakes import cell
from helpers.shard_run_fixture import (
    MadeUp,
    gathered,
    judged,
    results,
    run_all,
    run_one,
    run_whole,
    shared_out,
    some_plan,
    verdicts,
)

from matrix.distributed.manifest import Manifest, part_of
from matrix.distributed.shard_file import ShardCell, ShardFile, sha256
from matrix.distributed.shard_run import check_project, run_shard, shard_called, shards_folder
from matrix.errors import AnotherRunError, ExitCode, StorageError, UsageError
from matrix.model.capture import CellCapture
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.runs.captures import CaptureStore
from matrix.runs.events import Event, VerdictReached
from matrix.runs.journal import one_run
from matrix.runs.run import RunOptions

__all__ = ["results"]

ABSENT = {cell("1.9.0", "3.9").id: "welcome", cell("1.20.0", "3.9").id: "welcome"}


@pytest.fixture
def manifest() -> Manifest:
    return shared_out(some_plan())


def test_a_shard_runs_its_cells_and_the_further_controls_they_need(
    results: Path, manifest: Manifest
) -> None:
    ran = run_one(manifest, 1, ABSENT)
    assert ran.exit_code is ExitCode.OK, "what its cells show is not for it to judge"
    assert {each.cell for each in ran.result.cells} == {
        *manifest.shards[1].cells,
        cell("1.10.0", "3.9").id,
    }
    assert ran.folder == results / "shards" / manifest.id[:12] / manifest.shards[1].name
    assert not (results / "journal.jsonl").exists()
    assert "3 of 3 cells and 1 further controls" in str(ran)


def test_what_it_is_stands_in_its_folder_and_is_sealed(results: Path, manifest: Manifest) -> None:
    folder = run_one(manifest, 0, {}).folder
    told = ShardFile.read(folder)
    assert (told.manifest, told.shard, told.project) == (
        manifest.id,
        manifest.shards[0].name,
        manifest.project,
    )
    journal = (folder / "journal.jsonl").read_bytes()
    assert told.seal is not None
    assert told.seal.ended is ShardCell.COMPLETE
    assert (told.seal.journal, told.seal.size) == (sha256(journal), len(journal))
    assert {each.cell for each in told.seal.kept} == set(manifest.shards[0].cells)


def test_while_it_runs_it_has_no_seal(results: Path, manifest: Manifest) -> None:
    folder = run_one(manifest, 0, {}).folder
    with pytest.raises(SystemExit):
        run_shard(
            manifest,
            manifest.shards[0],
            RunOptions(jobs=1, fresh=True),
            lambda _event: None,
            MadeUp({}, dies=1).open(),
        )
    assert ShardFile.read(folder).seal is None


def test_of_what_claims_come_to_nothing_is_said(results: Path, manifest: Manifest) -> None:
    events: list[Event] = []
    run_shard(manifest, manifest.shards[0], RunOptions(jobs=1), events.append, MadeUp({}).open())
    assert events
    assert not [each for each in events if isinstance(each, VerdictReached)]


def test_one_that_is_killed_goes_on_where_it_was(
    tmp_path: Path, results: Path, manifest: Manifest
) -> None:
    with pytest.raises(SystemExit):
        run_one(manifest, 1, ABSENT, dies=2)
    found = gathered(manifest, results)
    assert [each.shard for each in found.missing] == [each.name for each in manifest.shards]
    assert "it was killed, or still runs: 1 of 3 cells missing" in found.problems[1]
    again = MadeUp(ABSENT)
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
    assert missing.of == 4


def test_one_that_is_run_twice_reuses_what_it_has(results: Path, manifest: Manifest) -> None:
    first = run_one(manifest, 0, {})
    world = MadeUp({})
    second = run_shard(
        manifest, manifest.shards[0], RunOptions(jobs=1), lambda _: None, world.open()
    )
    assert world.ran == []
    assert second.seal.kept == first.seal.kept


def test_older_results_of_the_machine_do_not_answer_for_it(
    results: Path, manifest: Manifest
) -> None:
    run_whole(manifest.plan, {}, results)
    world = MadeUp({})
    run_shard(manifest, manifest.shards[0], RunOptions(jobs=1), lambda _: None, world.open())
    assert len(world.ran) == len(manifest.shards[0].cells)


def test_ctrl_c_ends_it_without_a_seal_of_completeness(
    results: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = MadeUp({})

    def answer(self: MadeUp, name: str, key: str) -> CellCapture:
        os.kill(os.getpid(), signal.SIGINT)
        return original(self, name, key)

    original = MadeUp._answer
    monkeypatch.setattr(MadeUp, "_answer", answer)
    ran = run_shard(manifest, manifest.shards[0], RunOptions(jobs=1), lambda _: None, run.open())
    assert ran.exit_code is ExitCode.INTERRUPTED
    assert ran.seal.ended is ShardCell.INTERRUPTED
    (missing, *_) = gathered(manifest, results).missing
    assert "it was interrupted" in str(missing)


def test_two_of_a_run_go_on_at_once_and_the_same_one_does_not(
    results: Path, manifest: Manifest
) -> None:
    folder = shards_folder(results, manifest)
    with one_run(folder / manifest.shards[0].name), one_run(results):
        assert run_one(manifest, 1, {}).exit_code is ExitCode.OK
        with pytest.raises(AnotherRunError):
            run_one(manifest, 0, {})


def test_where_results_cannot_be_written_it_is_not_complete(
    results: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: CaptureStore, capture: CellCapture) -> Path:
        raise StorageError("the disk is full", "")

    with monkeypatch.context() as patched:
        patched.setattr(CaptureStore, "write", full)
        ran = run_one(manifest, 0, {})
    assert ran.exit_code is ExitCode.STORAGE
    assert ran.seal.ended is ShardCell.UNKEPT
    assert any("the disk is full" in each for each in ran.seal.warnings)
    assert "not all that it found could be written" in gathered(manifest, results).problems[0]


def test_what_an_earlier_run_of_it_found_otherwise_does_not_count(
    results: Path, manifest: Manifest
) -> None:
    # Out of memory is tried again; the further control of the first time is not needed any more.
    minimum, control = cell("1.9.0", "3.9").id, cell("1.20.0", "3.9").id
    first = run_one(manifest, 1, {minimum: "welcome", control: Reason.OUT_OF_MEMORY})
    assert any(each.fallback for each in first.result.cells)
    second = run_one(manifest, 1, {minimum: "welcome"})
    assert not any(each.fallback for each in second.result.cells)
    found = gathered(manifest, results)
    assert {each.cell for each in second.seal.kept} == set(manifest.shards[1].cells)
    assert found.pieces.keys() == set(manifest.shards[1].cells)


def test_a_name_that_is_none_has_a_nearest() -> None:
    manifest = shared_out(some_plan())
    assert shard_called(manifest, "linux_x86_64-01") is manifest.shards[0]
    with pytest.raises(UsageError, match="did you mean 'linux_x86_64-01'"):
        shard_called(manifest, "linux_x86-01")


def test_a_manifest_of_another_version_is_refused(manifest: Manifest) -> None:
    check_project(manifest, manifest.project, Path("m.json"))
    with pytest.raises(UsageError, match=r"another version of this project made m\.json"):
        check_project(manifest, "c" * 64, Path("m.json"))


def test_a_shard_file_is_plain_json(results: Path, manifest: Manifest) -> None:
    run_all(manifest, {})
    for path in shards_folder(results, manifest).glob("*/shard.json"):
        assert json.loads(path.read_text())["schema"] == "shard/1"


def test_the_plan_of_a_shard_has_its_cells_and_no_other(manifest: Manifest) -> None:
    def ids(some: tuple[PlannedCell, ...]) -> tuple[str, ...]:
        return tuple(each.cell.id for each in some)

    for shard in manifest.shards:
        of = part_of(manifest.plan, shard)
        assert (ids(of.cells), ids(of.fallbacks)) == (shard.cells, shard.reserve)
        assert {claim.id for claim in of.claims} == {one.claim for one in of.parts}
