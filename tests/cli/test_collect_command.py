"""The commands for shards: options, exit codes, and the content of the results folder."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers.run_fakes import PROBES, cell
from helpers.shard_run_fixture import (
    FakeWorld,
    in_shards,
    results,
    run_all,
    run_one,
    run_whole,
    some_plan,
)

from matrix.__main__ import main
from matrix.cli import collect as collect_command
from matrix.cli import verify as verify_command
from matrix.distributed.manifest import Manifest, write_manifest
from matrix.errors import ExitCode, StorageError
from matrix.model.reason import Reason
from matrix.planning.locations import Targets
from matrix.reporting.json import record_to_json
from matrix.runs.backend import RunBackend
from matrix.runs.journal import Journal, lock_results
from matrix.runs.result_store import CaptureStore
from matrix.system.source_files import project_version

__all__ = ["results"]

HOLDS = {cell("1.8.0", python).id: "welcome" for python in ("3.8", "3.9", "3.10")}
REFUTED = {cell("1.9.0", "3.9").id: "welcome"}


@pytest.fixture
def manifest(results: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """Return a manifest, written where the commands look for it."""
    monkeypatch.setattr(collect_command, "load_probes", lambda: PROBES)
    manifest = dataclasses.replace(in_shards(some_plan()), project=project_version())
    return write_manifest(results / "manifest.json", manifest)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> FakeWorld:
    """Return the world that `verify` runs cells in."""

    @contextlib.contextmanager
    def local_backend(engine: str, globs: Sequence[str]) -> Iterator[RunBackend]:
        assert engine == "local"
        yield RunBackend(Targets("", tuple(globs)))

    world = FakeWorld(HOLDS)
    monkeypatch.setattr(verify_command, "open_backend", local_backend)
    monkeypatch.setattr(verify_command, "context_on", lambda _backend: world.open())
    return world


def recorded(results: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (results / "records").glob("*.json")}


def test_shards_then_collect(
    results: Path, manifest: Manifest, world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    for shard in manifest.shards:
        assert main(["verify", "--shard", shard.name]) == ExitCode.OK
        assert f"{shard.name}: complete: 3 of 3 cells in" in capsys.readouterr().out
    assert main(["collect", "--json", "-"]) == ExitCode.OK
    out, err = capsys.readouterr()
    assert json.loads(out)["run"]["outcomes"] == {"confirmed": 3, "refuted": 0, "unverified": 0}
    assert "collected from 3 of 3 shards" in err


def test_it_records_what_a_whole_run_records(
    tmp_path: Path, results: Path, manifest: Manifest
) -> None:
    run_all(manifest, REFUTED)
    assert main(["collect"]) == ExitCode.REFUTED
    (text,) = recorded(results).values()
    record = run_whole(manifest.plan, REFUTED, tmp_path / "whole")
    whole = record_to_json(record.dated(manifest.as_of))

    def comparable(data: dict[str, Any]) -> dict[str, Any]:
        run = {k: v for k, v in data["run"].items() if k not in {"started", "seconds"}}
        return {**data, "run": run, "cells": sorted(data["cells"], key=lambda cell: cell["id"])}

    assert comparable(json.loads(text)) == comparable(json.loads(json.dumps(whole)))


def test_collecting_twice_changes_nothing(results: Path, manifest: Manifest) -> None:
    run_all(manifest, HOLDS)
    assert main(["collect"]) == ExitCode.OK
    records, journal = recorded(results), (results / "journal.jsonl").read_bytes()
    assert main(["collect"]) == ExitCode.OK
    assert recorded(results) == records
    assert len(records) == 1
    assert (results / "journal.jsonl").read_bytes() == journal


def test_a_later_run_reuses_collected_results(results: Path, manifest: Manifest) -> None:
    run_all(manifest, HOLDS)
    assert main(["collect"]) == ExitCode.OK
    again = run_whole(manifest.plan, REFUTED, results)
    assert all(line.reused for line in again.cells)
    captures = CaptureStore(results / "captures")
    assert all(captures.read(line.id, line.key) for line in again.cells)


def test_a_final_result_is_not_replaced_by_a_transient_one(
    tmp_path: Path, results: Path, manifest: Manifest
) -> None:
    run_whole(manifest.plan, HOLDS, results)
    before = {path: path.read_bytes() for path in (results / "captures").rglob("*.gz")}
    transient = {cell("1.9.0", "3.9").id: Reason.OUT_OF_MEMORY}
    run_all(manifest, {**HOLDS, **transient})
    output = tmp_path / "output.json"
    assert main(["collect", "--json", str(output)]) == ExitCode.OK
    assert "out-of-memory" in output.read_text(), "the shards' results are judged"
    assert {path: path.read_bytes() for path in (results / "captures").rglob("*.gz")} == before
    with contextlib.closing(Journal(results / "journal.jsonl")) as journal:
        assert not any(entry.transient for entry in journal.read().entries.values())


def test_a_shard_that_never_ran_is_reported_and_older_results_are_not_used(
    results: Path, manifest: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    run_whole(manifest.plan, HOLDS, results)
    for number in (0, 2):
        run_one(manifest, number, HOLDS)
    assert main(["collect"]) == ExitCode.INCOMPLETE
    captured = capsys.readouterr()
    assert "linux_x86_64-02: never ran: 3 of 3 cells missing" in captured.err
    assert "verify --shard, for linux_x86_64-02" in captured.err
    assert "2 confirmed" in captured.out
    (text,) = recorded(results).values()
    data = json.loads(text)
    assert data["run"]["interrupted"]
    by_claim = {verdict["claim"]: verdict for verdict in data["verdicts"]}
    (missing,) = (claim for claim in by_claim if claim.endswith("/2"))
    assert by_claim[missing]["outcome"] == "unverified"
    assert by_claim[missing]["reason"] == "not-run"


def test_nothing_ran_at_all(
    results: Path, manifest: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["collect"]) == ExitCode.INCOMPLETE
    assert capsys.readouterr().err.count("never ran") == len(manifest.shards)


def test_a_refuted_claim_does_not_hide_a_missing_shard(results: Path, manifest: Manifest) -> None:
    run_one(manifest, 1, REFUTED)
    assert main(["collect", "--strict"]) == ExitCode.INCOMPLETE


def test_strict(results: Path, manifest: Manifest) -> None:
    everything = [planned.cell.id for planned in (*manifest.plan.cells, *manifest.plan.fallbacks)]
    run_all(manifest, dict.fromkeys(everything, "welcome"))
    assert main(["collect"]) == ExitCode.OK
    assert main(["collect", "--strict"]) == ExitCode.UNVERIFIED


def test_a_full_disk_has_its_exit_code_and_the_next_call_resumes(
    results: Path,
    manifest: Manifest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_all(manifest, HOLDS)
    put, written = CaptureStore.put, 0

    def full(self: CaptureStore, name: str, key: str, content: bytes) -> Path:
        nonlocal written
        written += 1
        if written > 4:
            raise StorageError("the disk is full", "Free space.")
        return put(self, name, key, content)

    with monkeypatch.context() as patched:
        patched.setattr(CaptureStore, "put", full)
        assert main(["collect"]) == ExitCode.STORAGE
    captured = capsys.readouterr()
    assert "3 confirmed" in captured.out, "the report is printed all the same"
    assert "the disk is full" in captured.err
    assert recorded(results) == {}
    with contextlib.closing(Journal(results / "journal.jsonl")) as journal:
        assert len(journal.read().entries) == 4
    assert main(["collect"]) == ExitCode.OK
    with contextlib.closing(Journal(results / "journal.jsonl")) as journal:
        assert len(journal.read().entries) == 9


def test_nothing_is_collected_during_a_run(results: Path, manifest: Manifest) -> None:
    with lock_results(results):
        assert main(["collect"]) == ExitCode.ANOTHER_RUN


@pytest.mark.parametrize("command", [["collect"], ["verify", "--shard", "linux_x86_64-01"]])
def test_without_a_manifest_or_with_that_of_another_version(
    results: Path,
    manifest: Manifest,
    command: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    assert main([*command, "--manifest", str(tmp_path / "none.json")]) == ExitCode.USAGE
    assert "none.json" in capsys.readouterr().err
    write_manifest(tmp_path / "other.json", dataclasses.replace(manifest, project="d" * 64))
    assert main([*command, "--manifest", str(tmp_path / "other.json")]) == ExitCode.USAGE
    assert "another version of this project" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["page.md"], "a document"),
        (["--claim", "*"], "a selector"),
        (["--as-of", "today", "--rejudge"], "--as-of, --rejudge"),
        (["--json", "-", "--strict"], "--strict, --json"),
        (["--profile", "smoke"], "--profile smoke is not documented"),
        (["--engine", "docker"], "--engine docker is not local"),
        (["--target", "arm64"], "arm64"),
        (["--shard", "linux_x86_64-04"], "did you mean 'linux_x86_64-0"),
    ],
)
@pytest.mark.usefixtures("manifest")
def test_options_that_contradict_the_manifest_are_refused(
    world: FakeWorld, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "--shard", "linux_x86_64-01", *options]) == ExitCode.USAGE
    assert message in capsys.readouterr().err
    assert world.ran == []


def test_options_that_repeat_the_manifest_are_accepted(
    manifest: Manifest, world: FakeWorld
) -> None:
    same = ["--engine", "local", "--target", "amd64", "--jobs", "1", "--fresh"]
    assert main(["verify", "--shard", "linux_x86_64-01", *same]) == ExitCode.OK


def test_a_manifest_requires_a_shard(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--manifest", "m.json"]) == ExitCode.USAGE
    assert "--shard" in capsys.readouterr().err


def test_help_names_every_exit_code_it_can_have(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["collect", "--help"])
    codes = capsys.readouterr().out.split("exit codes:")[1]
    numbers = [int(number) for number in re.findall(r"(?:^|\s{2,})(\d+) ", codes, re.MULTILINE)]
    assert numbers == [0, 1, 2, 4, 6, 7, 11]
