"""Corrupt and foreign results are refused by name, and never change a verdict in silence."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.run_fakes import cell
from helpers.shard_run_fixture import (
    cells,
    gathered,
    in_shards,
    judged,
    results,
    run_all,
    run_one,
    some_plan,
    use_results,
    verdicts,
)

from matrix.distributed.gather import GatherLimits
from matrix.distributed.manifest import Manifest
from matrix.distributed.shard_run import shards_folder
from matrix.system.stamps import stamp

__all__ = ["results"]

HOLDS = {cell("1.8.0", python).id: "welcome" for python in ("3.8", "3.9", "3.10")}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results folder of a manifest, all of whose shards have run; do not modify it."""
    folder = tmp_path_factory.mktemp("ran") / "results"
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_results(folder, monkeypatch)
        run_all(in_shards(some_plan()), HOLDS)
    return folder


@pytest.fixture
def manifest(ran: Path, results: Path) -> Manifest:
    """Return a manifest, all of whose shards have run, with a copy of the results."""
    shutil.copytree(ran, results)
    return in_shards(some_plan())


def folder_of(manifest: Manifest, results: Path, number: int = 0) -> Path:
    return shards_folder(results, manifest) / manifest.shards[number].name


def captures_of(folder: Path) -> list[Path]:
    return sorted((folder / "captures").glob("*/*.json.gz"))


def rewrite(path: Path, change: Callable[[Any], Any]) -> None:
    data = json.loads(path.read_text())
    path.write_text(json.dumps(change(data) or data))


def line(entry: dict[str, Any]) -> str:
    """Return an entry of a journal with the digest of what it has become."""
    return stamp(json.dumps({name: entry[name] for name in entry if name != "sha256"}))


def write_capture(path: Path, data: dict[str, Any]) -> None:
    path.write_bytes(gzip.compress(line(data).encode()))


def unseal(folder: Path) -> None:
    rewrite(folder / "shard.json", lambda data: {**data, "seal": None})


def test_intact_results_are_accepted(results: Path, manifest: Manifest) -> None:
    assert gathered(manifest, results).problems == ()


@pytest.mark.parametrize("sealed", [True, False])
def test_a_changed_byte_of_a_capture(results: Path, manifest: Manifest, sealed: bool) -> None:
    folder = folder_of(manifest, results)
    path = captures_of(folder)[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    if not sealed:
        unseal(folder)
    refused, missing = gathered(manifest, results).problems
    assert refused.startswith(f"refused {folder}: corrupt: the capture of {path.parent.name} ")
    assert f"1 of 3 cells missing ({path.parent.name})" in missing
    result = judged(gathered(manifest, results))
    assert result.run.interrupted, "nobody takes it for a whole run"
    assert [line.detail for line in result.cells if line.reason] != []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(b""), "truncated"),
        (lambda path: path.write_bytes(gzip.compress(b"[]")), "is not a capture"),
        (lambda path: path.write_bytes(gzip.compress(b"[" * 100_000)), "is not JSON"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "truncated"),
        (lambda path: path.write_bytes(path.read_bytes() + b"more"), "truncated"),
        (lambda path: path.write_bytes(b"0" * 3_000_000), "is larger than"),
        (
            lambda path: path.write_bytes(gzip.compress(b"0" * 3_000_000)),
            "decompresses to more than",
        ),
        (lambda path: (path.unlink(), path.mkdir()), "is not a regular file"),
    ],
)
def test_invalid_captures(
    results: Path, manifest: Manifest, damage: Callable[[Path], object], message: str
) -> None:
    folder = folder_of(manifest, results)
    unseal(folder)
    damage(captures_of(folder)[0])
    limits = GatherLimits(capture=1_000_000, decompressed=2_000_000)
    assert message in gathered(manifest, results, limits=limits).problems[0]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_links_are_not_followed(results: Path, manifest: Manifest, tmp_path: Path) -> None:
    first, second, third = (folder_of(manifest, results, number) for number in range(3))
    capture = captures_of(first)[0]
    capture.rename(tmp_path / "capture")
    capture.symlink_to(tmp_path / "capture")
    (second / "captures").rename(tmp_path / "captures")
    (second / "captures").symlink_to(tmp_path / "captures")
    third.rename(tmp_path / "third")
    third.symlink_to(tmp_path / "third")
    problems = gathered(manifest, results).problems
    assert f"the capture of {capture.parent.name} is a link" in problems[0]
    assert sum("is missing" in problem for problem in problems) == 3
    assert f"{third.name}: never ran" in problems[-1]


def test_a_pipe_does_not_block(results: Path, manifest: Manifest) -> None:
    if sys.platform == "win32":
        pytest.skip("there are no such pipes there")
    folder = folder_of(manifest, results)
    (folder / "journal.jsonl").unlink()
    os.mkfifo(folder / "journal.jsonl")
    assert "it is not a regular file" in gathered(manifest, results).problems[0]


def test_a_capture_of_another_cell(results: Path, manifest: Manifest) -> None:
    folder = folder_of(manifest, results)
    unseal(folder)
    first, second, *_ = captures_of(folder)
    shutil.copy(second, first)
    assert "belongs to another result" in gathered(manifest, results).problems[0]


def test_a_modified_capture(results: Path, manifest: Manifest) -> None:
    path = captures_of(folder_of(manifest, results))[0]
    data = json.loads(gzip.decompress(path.read_bytes()).replace(b"blocked", b"welcome"))
    write_capture(path, data)
    assert "is not the one that was sealed" in gathered(manifest, results).problems[0]


def test_journals_that_were_swapped(results: Path, manifest: Manifest) -> None:
    first, second = (folder_of(manifest, results, number) for number in (0, 1))
    content = (first / "journal.jsonl").read_bytes()
    (first / "journal.jsonl").write_bytes((second / "journal.jsonl").read_bytes())
    (second / "journal.jsonl").write_bytes(content)
    problems = gathered(manifest, results).problems
    assert [problem for problem in problems if "is not the one that was sealed" in problem] == [
        f"refused {folder}: corrupt: journal.jsonl is not the one that was sealed"
        for folder in (first, second)
    ]
    assert "its results were refused: 3 of 3 cells missing" in problems[2]
    unseal(first)
    assert (
        f"refused {first}: foreign: journal.jsonl has " in (gathered(manifest, results).problems[0])
    )


def test_invalid_lines(results: Path, manifest: Manifest) -> None:
    folder = folder_of(manifest, results)
    unseal(folder)
    journal = folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    for wrong in (b"\xff\n", b"{}\n", b"[]\n", b'{"schema": 2}\n', b"1\n", lines[0][:-2] + b"\n"):
        journal.write_bytes(b"".join([lines[0], wrong, *lines[1:]]))
        assert "corrupt: line 2 of journal.jsonl is not" in gathered(manifest, results).problems[0]
    journal.write_bytes(b"".join(lines)[:-5])
    (missing,) = gathered(manifest, results).problems
    assert "1 of 3 cells missing" in missing, "what was being written when it was killed is not"


def test_a_broken_line_is_harmless_once_the_shard_has_run_again(
    results: Path, manifest: Manifest
) -> None:
    whole = judged(gathered(manifest, results))
    journal = folder_of(manifest, results) / "journal.jsonl"
    journal.write_bytes(b"\0\0\0\n" + journal.read_bytes())
    assert "is not the one that was sealed" in gathered(manifest, results).problems[0]
    run_one(manifest, 0, HOLDS)
    collected = gathered(manifest, results)
    assert not collected.problems
    assert "skipped an invalid line" in collected.warnings[0]
    assert cells(judged(collected)) == cells(whole)


def test_a_small_file_cannot_fill_the_memory(results: Path, manifest: Manifest) -> None:
    folder = folder_of(manifest, results)
    unseal(folder)
    captures_of(folder)[0].write_bytes(gzip.compress(b" " * 80_000_000, compresslevel=1))
    assert "decompresses to more than" in gathered(manifest, results).problems[0]


@pytest.mark.parametrize("name", ["key", "base", "cell"])
@pytest.mark.parametrize("value", ["../../../etc/passwd", "/etc/passwd", "", 1, None, ["a"]])
def test_keys_and_cells_cannot_be_paths(
    results: Path, manifest: Manifest, name: str, value: object
) -> None:
    folder = folder_of(manifest, results)
    unseal(folder)
    journal = folder / "journal.jsonl"
    first, *others = journal.read_text().splitlines()
    journal.write_text("\n".join([line({**json.loads(first), name: value}), *others, ""]))
    assert "line 1 of journal.jsonl is not an entry" in gathered(manifest, results).problems[0]


@pytest.mark.parametrize(
    ("names", "value", "error"),
    [
        (["detail"], 5, "TypeError"),
        (["isolation"], ["none"], "TypeError"),
        (["engine"], {"docker": 1}, "TypeError"),
        (["image"], float("inf"), "TypeError"),
        (["services"], [1], "AttributeError"),
        (["lock"], [["ddtrace"]], "TypeError"),
        (["identity", "os"], None, "TypeError"),
        (["identity", "bits"], float("nan"), "TypeError"),
    ],
)
def test_values_that_reports_show_are_texts(
    results: Path, manifest: Manifest, names: list[str], value: object, error: str
) -> None:
    folder = folder_of(manifest, results)
    unseal(folder)
    path = captures_of(folder)[0]
    data = table = json.loads(gzip.decompress(path.read_bytes()))
    for name in names[:-1]:
        table = table[name]
    table[names[-1]] = value
    write_capture(path, data)
    assert f"is not a capture ({error}" in gathered(manifest, results).problems[0]


def test_a_capture_with_services_is_accepted(results: Path, manifest: Manifest) -> None:
    folder = folder_of(manifest, results)
    unseal(folder)
    path = captures_of(folder)[0]
    data = json.loads(gzip.decompress(path.read_bytes()))
    write_capture(path, {**data, "services": ["redis: 7.2.4"]})
    assert gathered(manifest, results).problems == ()


def test_a_result_of_other_probes(results: Path, manifest: Manifest) -> None:
    folder = folder_of(manifest, results)
    unseal(folder)
    journal = folder / "journal.jsonl"
    entries = map(json.loads, journal.read_text().splitlines())
    journal.write_text("".join(f"{line({**entry, 'base': 'f' * 64})}\n" for entry in entries))
    assert "other probes than its key says" in gathered(manifest, results).problems[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"manifest": "d" * 64}, "foreign: it belongs to another run (dddddddddddd)"),
        ({"project": "d" * 64}, "foreign: another version of this project made it"),
        (
            {"shard": "linux_x86_64-1"},
            "the run has no shard 'linux_x86_64-1'; did you mean 'linux_",
        ),
        ({"shard": "../../x"}, "the run has no shard '../../x'"),
        ({"shard": 1}, "corrupt: shard.json is incomplete"),
        ({"seal": {}}, "corrupt: shard.json is incomplete"),
        ({"seal": []}, "corrupt: shard.json is incomplete"),
        ({"started": "yesterday"}, "corrupt: shard.json is incomplete"),
        ({"schema": "shard/2"}, "corrupt: shard.json has the schema 'shard/2'"),
    ],
)
def test_a_shard_file_of_something_else(
    results: Path, manifest: Manifest, change: dict[str, object], message: str
) -> None:
    folder = folder_of(manifest, results)
    rewrite(folder / "shard.json", lambda data: {**data, **change})
    collected = gathered(manifest, results)
    assert collected.problems[0].startswith(f"refused {folder}: ")
    assert message in collected.problems[0]
    assert len(collected.missing) == 1


@pytest.mark.parametrize("content", [b"", b"[]", b"\x00", b"{", b"[" * 100_000, None])
def test_a_folder_without_a_valid_shard_file(
    results: Path, manifest: Manifest, content: bytes | None
) -> None:
    path = folder_of(manifest, results) / "shard.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert f"refused {path.parent}: corrupt: shard.json " in gathered(manifest, results).problems[0]


def test_a_sealed_journal_that_is_missing(results: Path, manifest: Manifest) -> None:
    folder = folder_of(manifest, results)
    (folder / "journal.jsonl").unlink()
    assert "corrupt: journal.jsonl is missing" in gathered(manifest, results).problems[0]


def test_all_problems_are_reported_at_once(results: Path, manifest: Manifest) -> None:
    first, second, third = (folder_of(manifest, results, number) for number in range(3))
    captures_of(first)[0].write_bytes(b"x")
    (second / "shard.json").write_bytes(b"x")
    shutil.rmtree(third)
    problems = gathered(manifest, results).problems
    assert len(problems) == 5
    assert sum(problem.startswith("refused") for problem in problems) == 2
    error = gathered(manifest, results).error()
    assert error is not None
    assert "--fresh" in error.hint, "what is reused as it is would be refused again"


def test_folders_without_a_shard_and_missing_folders(
    results: Path, manifest: Manifest, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    collected = gathered(manifest, results, tmp_path / "none", tmp_path / "empty")
    assert collected.refused == (
        f"there is no folder {tmp_path / 'none'}",
        f"{tmp_path / 'empty'} holds no shard (no shard.json in it)",
    )
    assert all("never ran: 3 of 3 cells missing" in str(missing) for missing in collected.missing)


def test_artifacts_as_they_are_downloaded(
    results: Path, manifest: Manifest, tmp_path: Path
) -> None:
    whole = judged(gathered(manifest, results))
    for number, shard in enumerate(manifest.shards):
        target = tmp_path / "downloads" / f"results-{shard.name}"
        if number:  # with and without the folders that the artifact was made from
            target = target / manifest.id[:12] / shard.name
        shutil.copytree(folder_of(manifest, results, number), target)
    collected = gathered(manifest, results, tmp_path / "downloads")
    assert not collected.problems
    assert judged(collected) == whole


def test_a_shard_that_is_passed_twice(results: Path, manifest: Manifest, tmp_path: Path) -> None:
    whole = judged(gathered(manifest, results))
    shutil.copytree(folder_of(manifest, results), tmp_path / "copy")
    home = shards_folder(results, manifest)
    for folders in ([home, home], [tmp_path / "copy", home], [home, tmp_path / "copy", home]):
        collected = gathered(manifest, results, *folders)
        assert not collected.problems
        assert judged(collected) == whole


def test_a_second_attempt_replaces_a_broken_one(
    results: Path, manifest: Manifest, tmp_path: Path
) -> None:
    whole = judged(gathered(manifest, results))
    broken = tmp_path / "broken"
    shutil.copytree(folder_of(manifest, results), broken)
    captures_of(broken)[0].write_bytes(b"x")
    collected = gathered(manifest, results, broken, shards_folder(results, manifest))
    assert not collected.missing
    assert len(collected.refused) == 1, "the refusal is reported all the same"
    assert verdicts(judged(collected)) == verdicts(whole)


def test_folder_names_cannot_forge_lines(results: Path, manifest: Manifest, tmp_path: Path) -> None:
    if os.name == "nt":
        pytest.skip("no name of a file there holds such letters")
    odd = tmp_path / "a\n::error::b\x1b[2J"
    odd.mkdir()
    (odd / "shard.json").write_bytes(b"x")
    (problem, *_) = gathered(manifest, results, odd).problems
    assert "\n" not in problem
    assert "\x1b" not in problem


def test_contents_cannot_forge_lines(results: Path, manifest: Manifest) -> None:
    first, second, third = (folder_of(manifest, results, number) for number in range(3))
    odd = "a\n::error::b\x1b[2J" + "c" * 9_000
    rewrite(
        first / "shard.json", lambda data: {**data, "seal": {**data["seal"], "warnings": [odd]}}
    )
    unseal(second)
    path = captures_of(second)[0]
    data = json.loads(gzip.decompress(path.read_bytes()))
    write_capture(path, {**data, odd: 1})
    unseal(third)
    journal = third / "journal.jsonl"
    entry = json.loads(journal.read_text().splitlines()[0])
    journal.write_text(line({**entry, "where": {odd: 1}}) + "\n")
    collected = gathered(manifest, results)
    assert sum("a ::error::b\\x1b[2Jc" in problem for problem in collected.problems) == 2
    assert len(collected.warnings) == 1
    for text in (*collected.problems, *collected.warnings):
        assert text.isprintable()
        assert len(text) < 3_000


def test_a_name_that_no_folder_can_have(results: Path, manifest: Manifest) -> None:
    collected = gathered(manifest, results, Path("a" * 5_000))
    assert "there is no folder aaa" in collected.refused[0]


def test_more_folders_than_there_can_be(results: Path, manifest: Manifest) -> None:
    collected = gathered(manifest, results, limits=GatherLimits(folders=1))
    assert "more than 1 folders" in collected.problems[0]


def test_any_changed_byte_is_noticed_or_changes_nothing(
    results: Path, manifest: Manifest, tmp_path: Path
) -> None:
    whole = judged(gathered(manifest, results))
    folder = folder_of(manifest, results)
    files = [folder / "shard.json", folder / "journal.jsonl", captures_of(folder)[0]]
    chance = random.Random(7)  # noqa: S311
    for path in files:
        content = path.read_bytes()
        for _ in range(60):
            place = chance.randrange(len(content))
            byte = bytes([content[place] ^ (1 << chance.randrange(8))])
            path.write_bytes(content[:place] + byte + content[place + 1 :])
            collected = gathered(manifest, results)
            if not collected.problems:
                assert path.name == "shard.json"
                assert cells(judged(collected)) == cells(whole), place
                assert verdicts(judged(collected)) == verdicts(whole), place
        path.write_bytes(content)


def test_a_shard_that_still_runs_is_not_taken_for_one_that_ended(
    results: Path, manifest: Manifest
) -> None:
    shutil.rmtree(folder_of(manifest, results))
    with pytest.raises(SystemExit):
        run_one(manifest, 0, HOLDS, dies=0)
    (problem,) = gathered(manifest, results).problems
    assert "killed, or still running: 3 of 3 cells missing" in problem
