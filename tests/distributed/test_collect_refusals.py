"""What is corrupt or foreign is refused by name, and changes no answer without a word."""

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
    judged,
    results,
    run_all,
    run_one,
    shared_out,
    some_plan,
    verdicts,
)

from matrix.distributed import gather as gathering
from matrix.distributed import gather as pieces
from matrix.distributed.manifest import Manifest
from matrix.distributed.shard_run import shards_folder

__all__ = ["results"]

SAID = {cell("1.8.0", python).id: "welcome" for python in ("3.8", "3.9", "3.10")}


@pytest.fixture
def manifest(results: Path) -> Manifest:
    """Return what was shared out, all of whose shards have run."""
    made = shared_out(some_plan())
    run_all(made, SAID)
    return made


def folder_of(manifest: Manifest, results: Path, number: int = 0) -> Path:
    return shards_folder(results, manifest) / manifest.shards[number].name


def captures_of(folder: Path) -> list[Path]:
    return sorted((folder / "captures").glob("*/*.json.gz"))


def rewrite(path: Path, change: Callable[[Any], Any]) -> None:
    data = json.loads(path.read_text())
    path.write_text(json.dumps(change(data) or data))


def unseal(folder: Path) -> None:
    rewrite(folder / "shard.json", lambda data: {**data, "seal": None})


def test_nothing_wrong_is_nothing_refused(results: Path, manifest: Manifest) -> None:
    assert gathered(manifest, results).problems == ()


@pytest.mark.parametrize("sealed", [True, False])
def test_a_byte_of_a_capture(results: Path, manifest: Manifest, sealed: bool) -> None:
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
    assert result.interrupted, "nobody takes it for a whole run"
    assert [each.detail for each in result.cells if each.reason] != []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(b""), "does not end where it should"),
        (lambda path: path.write_bytes(gzip.compress(b"[]")), "is no capture"),
        (lambda path: path.write_bytes(gzip.compress(b"[" * 100_000)), "is no JSON"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "does not end where it should"),
        (lambda path: path.write_bytes(path.read_bytes() + b"more"), "does not end where it"),
        (lambda path: path.write_bytes(b"0" * 3_000_000), "has more than"),
        (lambda path: path.write_bytes(gzip.compress(b"0" * 3_000_000)), "unpacks to more than"),
        (lambda path: (path.unlink(), path.mkdir()), "is no file"),
    ],
)
def test_a_capture_that_is_none(
    results: Path,
    manifest: Manifest,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[Path], object],
    said: str,
) -> None:
    monkeypatch.setattr(pieces, "LARGEST", 1_000_000)
    monkeypatch.setattr(pieces, "_LARGEST_UNPACKED", 2_000_000)
    folder = folder_of(manifest, results)
    unseal(folder)
    damage(captures_of(folder)[0])
    assert said in gathered(manifest, results).problems[0]


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
    assert sum("is missing" in each for each in problems) == 3
    assert f"{third.name}: it never ran" in problems[-1]


def test_nobody_waits_for_a_pipe(results: Path, manifest: Manifest) -> None:
    if sys.platform == "win32":
        pytest.skip("there are no such pipes there")
    folder = folder_of(manifest, results)
    (folder / "journal.jsonl").unlink()
    os.mkfifo(folder / "journal.jsonl")
    assert "journal.jsonl is no file" in gathered(manifest, results).problems[0]


def test_a_capture_of_another_cell(results: Path, manifest: Manifest) -> None:
    folder = folder_of(manifest, results)
    unseal(folder)
    first, second, *_ = captures_of(folder)
    shutil.copy(second, first)
    assert "is that of another result" in gathered(manifest, results).problems[0]


def test_a_capture_that_says_something_else(results: Path, manifest: Manifest) -> None:
    path = captures_of(folder_of(manifest, results))[0]
    content = gzip.decompress(path.read_bytes()).replace(b"blocked", b"welcome")
    path.write_bytes(gzip.compress(content))
    assert "is not the one that was sealed" in gathered(manifest, results).problems[0]


def test_journals_that_were_swapped(results: Path, manifest: Manifest) -> None:
    first, second = (folder_of(manifest, results, number) for number in (0, 1))
    held = (first / "journal.jsonl").read_bytes()
    (first / "journal.jsonl").write_bytes((second / "journal.jsonl").read_bytes())
    (second / "journal.jsonl").write_bytes(held)
    problems = gathered(manifest, results).problems
    assert [each for each in problems if "is not the one that was sealed" in each] == [
        f"refused {each}: corrupt: journal.jsonl is not the one that was sealed"
        for each in (first, second)
    ]
    assert "what it found was refused: 3 of 3 cells missing" in problems[2]
    unseal(first)
    assert (
        f"refused {first}: foreign: journal.jsonl tells of "
        in (gathered(manifest, results).problems[0])
    )


def test_a_line_that_is_no_entry(results: Path, manifest: Manifest) -> None:
    folder = folder_of(manifest, results)
    unseal(folder)
    journal = folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    for wrong in (b"\xff\n", b"{}\n", b"[]\n", b'{"schema": 2}\n', b"1\n", lines[0][:-2] + b"\n"):
        journal.write_bytes(b"".join([lines[0], wrong, *lines[1:]]))
        assert "corrupt: line 2 of journal.jsonl is no" in gathered(manifest, results).problems[0]
    journal.write_bytes(b"".join(lines)[:-5])
    (missing,) = gathered(manifest, results).problems
    assert "1 of 3 cells missing" in missing, "what was being written when it was killed is not"


def test_a_broken_line_costs_nothing_once_the_shard_was_run_again(
    results: Path, manifest: Manifest
) -> None:
    whole = judged(gathered(manifest, results))
    journal = folder_of(manifest, results) / "journal.jsonl"
    journal.write_bytes(b"\0\0\0\n" + journal.read_bytes())
    assert "is not the one that was sealed" in gathered(manifest, results).problems[0]
    run_one(manifest, 0, SAID)
    found = gathered(manifest, results)
    assert not found.problems
    assert "skipped a line that is no entry" in found.warnings[0]
    assert cells(judged(found)) == cells(whole)


def test_a_small_file_cannot_fill_the_memory(results: Path, manifest: Manifest) -> None:
    folder = folder_of(manifest, results)
    unseal(folder)
    captures_of(folder)[0].write_bytes(gzip.compress(b" " * 80_000_000, compresslevel=1))
    assert "unpacks to more than" in gathered(manifest, results).problems[0]


@pytest.mark.parametrize("name", ["key", "base", "cell"])
@pytest.mark.parametrize("value", ["../../../etc/passwd", "/etc/passwd", "", 1, None, ["a"]])
def test_nothing_inside_is_taken_for_a_path(
    results: Path, manifest: Manifest, name: str, value: object
) -> None:
    folder = folder_of(manifest, results)
    unseal(folder)
    journal = folder / "journal.jsonl"
    first, *others = journal.read_text().splitlines()
    journal.write_text("\n".join([json.dumps({**json.loads(first), name: value}), *others, ""]))
    assert "line 1 of journal.jsonl is no entry" in gathered(manifest, results).problems[0]


@pytest.mark.parametrize(
    ("names", "value"),
    [
        (["detail"], 5),
        (["isolation"], ["none"]),
        (["engine"], {"docker": 1}),
        (["image"], float("inf")),
        (["services"], [1]),
        (["lock"], [["ddtrace"]]),
        (["identity", "os"], None),
        (["identity", "bits"], float("nan")),
    ],
)
def test_what_the_report_tells_as_it_stands_is_text(
    results: Path, manifest: Manifest, names: list[str], value: object
) -> None:
    folder = folder_of(manifest, results)
    unseal(folder)
    path = captures_of(folder)[0]
    data = table = json.loads(gzip.decompress(path.read_bytes()))
    for name in names[:-1]:
        table = table[name]
    table[names[-1]] = value
    path.write_bytes(gzip.compress(json.dumps(data).encode()))
    assert "is no capture (TypeError" in gathered(manifest, results).problems[0]


def test_a_result_of_other_probes(results: Path, manifest: Manifest) -> None:
    folder = folder_of(manifest, results)
    unseal(folder)
    journal = folder / "journal.jsonl"
    journal.write_text(
        journal.read_text().replace(
            json.loads(journal.read_text().splitlines()[0])["base"], "f" * 64
        )
    )
    assert "other probes than its key says" in gathered(manifest, results).problems[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"manifest": "d" * 64}, "foreign: it is of another run (dddddddddddd)"),
        ({"project": "d" * 64}, "foreign: another version of this project made it"),
        ({"shard": "linux_x86_64-1"}, "the run has no shard 'linux_x86_64-1'; did you mean 'linux_"),
        ({"shard": "../../x"}, "the run has no shard '../../x'"),
        ({"shard": 1}, "corrupt: shard.json is incomplete"),
        ({"seal": {}}, "corrupt: shard.json is incomplete"),
        ({"seal": []}, "corrupt: shard.json is incomplete"),
        ({"started": "yesterday"}, "corrupt: shard.json is incomplete"),
        ({"schema": "shard/2"}, "corrupt: shard.json has the schema 'shard/2'"),
    ],
)
def test_a_folder_that_says_it_is_something_else(
    results: Path, manifest: Manifest, change: dict[str, object], said: str
) -> None:
    folder = folder_of(manifest, results)
    rewrite(folder / "shard.json", lambda data: {**data, **change})
    found = gathered(manifest, results)
    assert found.problems[0].startswith(f"refused {folder}: ")
    assert said in found.problems[0]
    assert len(found.missing) == 1


@pytest.mark.parametrize("content", [b"", b"[]", b"\x00", b"{", b"[" * 100_000, None])
def test_a_folder_that_does_not_say_what_it_is(
    results: Path, manifest: Manifest, content: bytes | None
) -> None:
    path = folder_of(manifest, results) / "shard.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert f"refused {path.parent}: corrupt: shard.json " in gathered(manifest, results).problems[0]


def test_what_is_sealed_and_gone(results: Path, manifest: Manifest) -> None:
    folder = folder_of(manifest, results)
    (folder / "journal.jsonl").unlink()
    assert "corrupt: journal.jsonl is missing" in gathered(manifest, results).problems[0]


def test_all_that_is_wrong_is_told_at_once(results: Path, manifest: Manifest) -> None:
    first, second, third = (folder_of(manifest, results, number) for number in range(3))
    captures_of(first)[0].write_bytes(b"x")
    (second / "shard.json").write_bytes(b"x")
    shutil.rmtree(third)
    problems = gathered(manifest, results).problems
    assert len(problems) == 5
    assert sum(each.startswith("refused") for each in problems) == 2
    error = gathered(manifest, results).error()
    assert error is not None
    assert "--fresh" in error.hint, "what is reused as it is would be refused again"


def test_folders_that_hold_no_shard_and_folders_that_are_none(
    results: Path, manifest: Manifest, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    found = gathered(manifest, results, tmp_path / "none", tmp_path / "empty")
    assert found.refused == (
        f"there is no folder {tmp_path / 'none'}",
        f"{tmp_path / 'empty'} holds no shard: there is no shard.json in it",
    )
    assert all("it never ran: 3 of 3 cells missing" in str(each) for each in found.missing)


def test_artifacts_as_they_are_downloaded(
    results: Path, manifest: Manifest, tmp_path: Path
) -> None:
    whole = judged(gathered(manifest, results))
    for number, shard in enumerate(manifest.shards):
        target = tmp_path / "downloads" / f"results-{shard.name}"
        if number:  # with and without the folders that the artifact was made from
            target = target / manifest.id[:12] / shard.name
        shutil.copytree(folder_of(manifest, results, number), target)
    found = gathered(manifest, results, tmp_path / "downloads")
    assert not found.problems
    assert judged(found) == whole


def test_a_shard_that_is_given_twice(results: Path, manifest: Manifest, tmp_path: Path) -> None:
    whole = judged(gathered(manifest, results))
    shutil.copytree(folder_of(manifest, results), tmp_path / "copy")
    home = shards_folder(results, manifest)
    for folders in ([home, home], [tmp_path / "copy", home], [home, tmp_path / "copy", home]):
        found = gathered(manifest, results, *folders)
        assert not found.problems
        assert judged(found) == whole


def test_a_second_attempt_makes_up_for_a_broken_one(
    results: Path, manifest: Manifest, tmp_path: Path
) -> None:
    whole = judged(gathered(manifest, results))
    broken = tmp_path / "broken"
    shutil.copytree(folder_of(manifest, results), broken)
    captures_of(broken)[0].write_bytes(b"x")
    found = gathered(manifest, results, broken, shards_folder(results, manifest))
    assert not found.missing
    assert len(found.refused) == 1, "it is told all the same"
    assert verdicts(judged(found)) == verdicts(whole)


def test_names_cannot_write_lines_of_ours(
    results: Path, manifest: Manifest, tmp_path: Path
) -> None:
    if os.name == "nt":
        pytest.skip("no name of a file there holds such letters")
    odd = tmp_path / "a\n::error::b\x1b[2J"
    odd.mkdir()
    (odd / "shard.json").write_bytes(b"x")
    (problem, *_) = gathered(manifest, results, odd).problems
    assert "\n" not in problem
    assert "\x1b" not in problem


def test_nothing_inside_can_write_lines_of_ours(results: Path, manifest: Manifest) -> None:
    first, second, third = (folder_of(manifest, results, number) for number in range(3))
    odd = "a\n::error::b\x1b[2J" + "c" * 9_000
    rewrite(
        first / "shard.json", lambda data: {**data, "seal": {**data["seal"], "warnings": [odd]}}
    )
    unseal(second)
    path = captures_of(second)[0]
    data = json.loads(gzip.decompress(path.read_bytes()))
    path.write_bytes(gzip.compress(json.dumps({**data, odd: 1}).encode()))
    unseal(third)
    journal = third / "journal.jsonl"
    line = json.loads(journal.read_text().splitlines()[0])
    journal.write_text(json.dumps({**line, "where": {odd: 1}}) + "\n")
    found = gathered(manifest, results)
    assert sum("a ::error::b?[2Jc" in each for each in found.problems) == 2
    assert len(found.warnings) == 1
    for text in (*found.problems, *found.warnings):
        assert text.isprintable()
        assert len(text) < 3_000


def test_a_name_that_no_folder_can_have(results: Path, manifest: Manifest) -> None:
    found = gathered(manifest, results, Path("a" * 5_000))
    assert "there is no folder aaa" in found.refused[0]


def test_more_folders_than_there_can_be(
    results: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "_MOST_FOLDERS", 1)
    assert "there are more than 1 folders" in gathered(manifest, results).problems[0]


def test_any_byte_that_is_changed_is_noticed_or_changes_nothing(
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
            found = gathered(manifest, results)
            if not found.problems:
                assert path.name == "shard.json"
                assert cells(judged(found)) == cells(whole), place
                assert verdicts(judged(found)) == verdicts(whole), place
        path.write_bytes(content)


def test_a_shard_that_still_runs_is_not_taken_for_one_that_ended(
    results: Path, manifest: Manifest
) -> None:
    shutil.rmtree(folder_of(manifest, results))
    with pytest.raises(SystemExit):
        run_one(manifest, 0, SAID, dies=0)
    (problem,) = gathered(manifest, results).problems
    assert "it was killed, or still runs: 3 of 3 cells missing" in problem
