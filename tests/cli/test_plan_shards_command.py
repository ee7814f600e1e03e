"""`plan --github`, as a job runs it, with a cached index."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.offline_index import offline
from helpers.shard_plan_fixture import journal_entry, small_plan
from helpers.target_fixture import wide_index
from hypothesis import given
from hypothesis import strategies as st

from matrix.__main__ import main
from matrix.cli import plan_shards
from matrix.distributed.github import (
    RunnerLabel,
    job_matrix,
    load_runners,
    local_runner,
    missing_pythons,
    write_step_output,
)
from matrix.distributed.manifest import SHARD_ENGINES, Shard, read_manifest
from matrix.errors import ExitCode
from matrix.model.cell import Cell
from matrix.planning import locations
from matrix.planning.locations import ENGINES
from matrix.pypi.cache import dump_project
from matrix.pypi.client import CachedIndex
from matrix.runs.journal import Journal
from matrix.system.paths import cache_dir, data_dir
from matrix.system.source_files import project_version

__all__ = ["offline"]


LINUX = ("linux_x86_64", "linux_i686", "linux_aarch64")


@pytest.fixture
def results(offline: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the results folder, with an index that has wheels for three CPUs of Linux."""
    index = CachedIndex(cache_dir())
    index.path("ddtrace").write_text(
        dump_project(wide_index().projects["ddtrace"]), encoding="utf-8"
    )
    monkeypatch.setenv("COMPAT_MATRIX_RESULTS", str(offline / "results"))
    monkeypatch.setattr(locations, "host_target", lambda: "linux_x86_64")
    monkeypatch.delenv("GITHUB_OUTPUT", raising=False)
    return offline / "results"


def jobs(capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, str]]:
    capsys.readouterr()
    assert main(["plan", "--offline", "--github", *options]) == ExitCode.OK
    (line,) = capsys.readouterr().out.splitlines()
    data: dict[str, Any] = json.loads(line)
    assert list(data) == ["include"]
    matrix: list[dict[str, str]] = data["include"]
    return matrix


def test_the_jobs_are_the_shards_of_the_manifest(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = jobs(capsys, "--profile", "exhaustive", "--shards", "6")
    manifest = read_manifest(results / "manifest.json")
    assert [job["shard"] for job in matrix] == [shard.name for shard in manifest.shards]
    assert len(matrix) == 6
    assert matrix[0] == {
        "shard": "linux_x86_64-01",
        "runner": "ubuntu-24.04",
        "target": "linux_x86_64",
        "engine": "docker",
        "pythons": "",
        "architecture": "x64",
    }
    assert {job["target"] for job in matrix} == {*LINUX, "win_amd64"}
    assert {job["pythons"] for job in matrix if job["engine"] == "docker"} == {""}
    assert [job["runner"] for job in matrix if job["engine"] == "local"] == ["windows-2025"]
    assert manifest.project == project_version()
    assert manifest.as_of == "the time of each release"


def test_the_same_plan_has_the_same_shards(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = jobs(capsys, "--minutes", "1")
    content = (results / "manifest.json").read_bytes()
    assert jobs(capsys, "--minutes", "1", "--manifest", str(results / "again.json")) == first
    assert (results / "again.json").read_bytes() == content


@pytest.mark.usefixtures("results")
def test_the_jobs_are_an_output_of_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "output"
    output.write_text("before=1\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    matrix = jobs(capsys)
    before, line = output.read_text(encoding="utf-8").splitlines()
    assert before == "before=1"
    assert line.startswith("jobs={")
    assert json.loads(line.removeprefix("jobs="))["include"] == matrix


def test_unwritable_outputs_are_reported(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(results / "no" / "folder"))
    assert main(["plan", "--offline", "--github"]) == ExitCode.STORAGE
    assert "GITHUB_OUTPUT" in capsys.readouterr().err


def test_the_engine_selects_the_machines(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ENGINES == ("auto", "docker", "local")
    local = jobs(capsys, "--engine", "local", "--shards", "3")
    assert [(job["shard"], job["engine"]) for job in local] == [
        (f"linux_x86_64-0{n}", "local") for n in (1, 2, 3)
    ]
    plan = read_manifest(results / "manifest.json").plan
    assert plan.targets == ("linux_x86_64",)
    needed = {planned.cell.python for planned in (*plan.cells, *plan.fallbacks)}
    assert {python for job in local for python in job["pythons"].split("\n")} == needed
    jobs(capsys, "--engine", "docker")
    assert all(
        target.startswith("linux")
        for target in read_manifest(results / "manifest.json").plan.targets
    )
    jobs(capsys)
    assert read_manifest(results / "manifest.json").plan.targets == tuple(load_runners())
    two = jobs(capsys, "--target", "arm64", "--target", "win*")
    assert {job["target"] for job in two} == {"linux_aarch64", "win_amd64"}


def test_claims_about_containers_are_planned_only_for_containers(
    results: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "## ASM capabilities support\n\n"
        "| ASM capability   | Minimum Python tracer version |\n"
        "| ---------------- | ----------------------------- |\n"
        "| Threat Detection | 1.9.0 |\n\n"
        "The minimum tracer version to get all supported ASM capabilities for Python is 1.9.0.\n\n"
        "### Supported deployment types\n\n"
        "| Type   | Threat Detection support |\n| ------ | ---- |\n| Docker | {{< X >}} |\n",
        encoding="utf-8",
    )
    jobs(capsys, str(page), "--lenient", "--profile", "exhaustive")
    plan = read_manifest(results / "manifest.json").plan
    inside = {part.minimum.target for part in plan.parts if part.contained}
    assert inside == set(LINUX)
    assert "win_amd64" in {planned.cell.target for planned in plan.cells}


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--shards", "3"], ExitCode.USAGE, "--github"),
        (["--manifest", "x.json"], ExitCode.USAGE, "--github"),
        (["--github", "--shards", "3", "--minutes", "3"], ExitCode.USAGE, "exclude each other"),
        (["--github", "--cells"], ExitCode.USAGE, "exclude each other"),
        (["--github", "--write-smoke"], ExitCode.USAGE, "exclude each other"),
        (["--write-smoke", "--write-locks"], ExitCode.USAGE, "exclude each other"),
        (["--github", "--json", "-"], ExitCode.USAGE, "standard output"),
        (["--github", "--service", "redis=redis://127.0.0.1:1"], ExitCode.USAGE, "verify --shard"),
        (["--github", "--profile", "everywhere", "--shards", "1"], ExitCode.USAGE, "--shards 4"),
        (["--github", "--target", "win33"], ExitCode.USAGE, "did you mean 'win32'"),
        (["--github", "--target", "win32"], ExitCode.NOTHING_SELECTED, "no cells to distribute"),
        (["--github", "--framework", "djagno"], ExitCode.NOTHING_SELECTED, "'django'"),
        (["--write-durations", "no.jsonl"], ExitCode.USAGE, "no.jsonl"),
        (["--write-durations", "no.jsonl", "--profile", "smoke"], ExitCode.USAGE, "Leave out"),
    ],
)
@pytest.mark.usefixtures("results")
def test_wrong_usage_is_reported_and_nothing_is_printed(
    options: list[str], code: ExitCode, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--offline", *options]) == code
    output = capsys.readouterr()
    assert message in output.err
    assert output.out == ""


@pytest.mark.parametrize("option", ["--shards=0", "--shards=257", "--shards=x", "--minutes=0"])
@pytest.mark.usefixtures("results")
def test_invalid_numbers(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["plan", "--github", option])
    assert caught.value.code == ExitCode.USAGE
    assert "invalid number of" in capsys.readouterr().err


def test_a_manifest_that_cannot_be_written_leaves_no_jobs(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results.write_text("a file", encoding="utf-8")
    assert main(["plan", "--offline", "--github"]) == ExitCode.STORAGE
    output = capsys.readouterr()
    assert "--manifest" in output.err
    assert output.out == ""


def test_every_target_has_a_machine_that_can_run_it() -> None:
    runners = load_runners()
    for target, runner in runners.items():
        assert runner.engine in SHARD_ENGINES
        assert (runner.engine == "docker") == target.startswith("linux")
        assert bool(runner.pythons) == (runner.engine == "local")
        assert runner.cells > 0
    assert runners["win32"].architecture == "x86"
    assert runners["macosx_arm64"].architecture == runners["linux_aarch64"].architecture == "arm64"
    assert {runners[target].architecture for target in ("win_amd64", "macosx_x86_64")} == {"x64"}
    assert local_runner("linux_x86_64").engine == local_runner("win_arm64").engine == "local"


@given(st.lists(st.sampled_from(["2.7", "3.6", "3.9", "3.10", "3.13"]), min_size=1))
def test_only_available_cpythons_are_installed(pythons: list[str]) -> None:
    plan = small_plan(profile="exhaustive")
    ids = [item.cell.id for item in plan.cells if item.cell.python in pythons]
    shard = Shard("linux_x86_64-01", "linux_x86_64", "local", tuple(ids), (), 1.0)
    runner = RunnerLabel("machine", "local", "x64", 2, ("3.9", "3.10", "3.13"))
    runners = {"linux_x86_64": runner}
    (job,) = json.loads(job_matrix(plan, (shard,), runners))["include"]
    installed = job["pythons"].split("\n") if job["pythons"] else []
    planned = {item.cell.python for item in plan.cells} & set(pythons)
    assert installed == [python for python in runner.pythons if python in planned]
    lacking = {python: count for _, python, count in missing_pythons(plan, (shard,), runners)}
    assert lacking.keys() == planned - set(runner.pythons)
    assert sum(lacking.values()) == sum(
        Cell.parse(name).python not in runner.pythons for name in ids
    )


def test_durations_are_written_by_the_program(
    results: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.setattr(plan_shards, "data_dir", lambda: data)
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(journal_entry("cp39-linux_x86_64-django3.2-ddtrace1.9.0", 12.5))
    journal.close()
    committed = (data_dir() / "durations.toml").read_bytes()
    assert main(["plan", "--write-durations", str(journal.path)]) == ExitCode.OK
    assert "1 cells" in capsys.readouterr().out
    assert "django = 12.5" in (data / "durations.toml").read_text(encoding="utf-8")
    assert (data_dir() / "durations.toml").read_bytes() == committed


def test_outside_of_a_step_nothing_is_written(tmp_path: Path) -> None:
    write_step_output("{}", {})
    write_step_output("{}", {"GITHUB_OUTPUT": ""})
    assert list(tmp_path.iterdir()) == []
