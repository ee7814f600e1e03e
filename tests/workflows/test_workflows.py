"""What every workflow must be: pinned, without permissions it does not need, bounded, and true."""

from __future__ import annotations

import argparse
import importlib
import json
import re
import shlex
from pathlib import Path

import pytest
from helpers.planning_fixture import page, planned
from helpers.workflow_files import Step, Workflow, commands_of, steps, workflows

from matrix.__main__ import COMMANDS
from matrix.distributed.github import job_matrix, load_runners
from matrix.distributed.manifest import Shard
from matrix.documents.facts import load_facts
from matrix.planning.profiles import profile_names
from matrix.system.paths import project_root

STEPS = list(steps())
RUNS = [step for step in STEPS if step.run]
CALLS = [
    pytest.param(name, arguments, id=f"{step.place}:{name}")
    for step in RUNS
    for name, arguments in commands_of(step.run)
]
each_workflow = pytest.mark.parametrize("workflow", workflows(), ids=lambda each: each.name)
each_step = pytest.mark.parametrize("step", STEPS, ids=lambda each: each.place)
each_run = pytest.mark.parametrize("step", RUNS, ids=lambda each: each.place)
# What values stand for in a line, where the command's parser looks at them.
SAMPLES = {
    "PROFILE": "smoke",
    "ENGINE": "auto",
    "SHARD": "linux_x86_64-01",
    "RELEASE": "2.21.12",
    "POLICY": "policy.toml",
}


def test_there_is_a_workflow_for_each_purpose() -> None:
    assert {each.name for each in workflows()} == {
        "matrix.yml",
        "qualify.yml",
        "refresh.yml",
        "tests.yml",
    }


@each_workflow
def test_every_action_is_pinned_by_commit_and_says_its_version(workflow: Workflow) -> None:
    lines = [line for line in workflow.text.splitlines() if re.search(r"\buses:", line)]
    assert len(lines) == sum(
        "uses" in step for job in workflow.jobs.values() for step in job["steps"]
    )
    for line in lines:
        assert re.search(r"uses: [\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_an_action_is_everywhere_the_same() -> None:
    pins = {step.uses for step in STEPS if step.uses}
    assert len(pins) == len({pin.partition("@")[0] for pin in pins})


@each_workflow
def test_nothing_is_permitted_but_what_a_job_says(workflow: Workflow) -> None:
    assert workflow.said["permissions"] == {}
    for name, job in workflow.jobs.items():
        writes = {what for what, how in job["permissions"].items() if how != "read"}
        proposes = (workflow.name, name) == ("refresh.yml", "propose")
        assert writes == ({"contents", "pull-requests"} if proposes else set()), name


def test_the_job_that_may_write_runs_nothing_of_the_project() -> None:
    for step in (step for step in RUNS if step.job == "propose"):
        assert not re.search(r"\b(nox|python|pip)\b", step.run)


@each_step
def test_no_credentials_stay_in_a_checkout(step: Step) -> None:
    if step.uses.startswith("actions/checkout@"):
        assert step.said["with"]["persist-credentials"] is False


@each_run
def test_values_reach_a_line_only_through_its_environment(step: Step) -> None:
    assert "${{" not in step.run


@each_workflow
def test_secrets_reach_one_step_of_a_job_with_an_environment(workflow: Workflow) -> None:
    told = [step for step in STEPS if step.workflow == workflow and "secrets." in str(step.said)]
    assert [step.place for step in told] == (
        ["qualify.yml:qualify:4"] if workflow.name == "qualify.yml" else []
    )
    assert all("environment" in workflow.jobs[step.job] for step in told)
    assert "secrets." not in str({k: v for k, v in workflow.said.items() if k != "jobs"})


@each_workflow
def test_every_job_is_bounded_and_no_run_disturbs_another(workflow: Workflow) -> None:
    assert workflow.said["concurrency"]["group"].startswith(Path(workflow.name).stem)
    assert all(1 <= job["timeout-minutes"] <= 360 for job in workflow.jobs.values())


@each_workflow
def test_every_line_is_run_by_bash_on_windows_too(workflow: Workflow) -> None:
    assert workflow.said["defaults"] == {"run": {"shell": "bash"}}
    assert not any("shell" in step for job in workflow.jobs.values() for step in job["steps"])


@each_workflow
def test_every_schedule_says_what_it_is_for(workflow: Workflow) -> None:
    crons = [each["cron"] for each in workflow.on.get("schedule", ())]
    for cron in crons:
        assert re.search(rf'- cron: "{re.escape(cron)}" # \w+', workflow.text), cron
    # A schedule that an expression compares with must be one that there is.
    for named in re.findall(r"github\.event\.schedule == '([^']+)'", workflow.text):
        assert named in crons


def test_the_nightly_and_the_weekly_run_do_not_fall_on_one_day() -> None:
    matrix = next(each for each in workflows() if each.name == "matrix.yml")
    nightly, weekly = (each["cron"].split()[4] for each in matrix.on["schedule"])
    assert (nightly, weekly) == ("1-6", "0")


def test_the_profiles_that_can_be_chosen_exist() -> None:
    matrix = next(each for each in workflows() if each.name == "matrix.yml")
    options = matrix.on["workflow_dispatch"]["inputs"]["profile"]["options"]
    assert set(options) == set(profile_names())


@pytest.mark.parametrize(("name", "arguments"), CALLS)
def test_what_is_called_exists_and_understands_its_arguments(name: str, arguments: str) -> None:
    sessions = re.findall(r'@nox\.session\((?:name="([\w-]+)")?.*\)\ndef (\w+)', _noxfile())
    assert name in {given or function for given, function in sessions}
    if name not in COMMANDS:
        assert name in ("tests", "lint", "lock")
        return
    commands = argparse.ArgumentParser(exit_on_error=False).add_subparsers(dest="command")
    importlib.import_module(f"matrix.cli.{name.replace('-', '_')}").add_parser(commands)
    words = [_filled(word) for word in shlex.split(_optional(arguments))]
    assert callable(commands.choices[name].parse_args(words).run)


def test_an_argument_that_no_command_has_is_noticed() -> None:
    with pytest.raises(SystemExit):
        test_what_is_called_exists_and_understands_its_arguments("plan", "--githb")
    with pytest.raises(AssertionError):
        test_what_is_called_exists_and_understands_its_arguments("plann", "")


def test_tests_run_on_every_machine_that_a_shard_may_run_on() -> None:
    shards = {(each.label, each.architecture) for each in load_runners().values()}
    tests = next(each for each in workflows() if each.name == "tests.yml")
    native = tests.jobs["native"]["strategy"]["matrix"]["include"]
    told = {(each["runner"], each["architecture"]) for each in native}
    assert told | {(tests.jobs["tests"]["runs-on"], "x64")} == shards


@each_workflow
def test_only_machines_that_are_known_are_asked_for(workflow: Workflow) -> None:
    known = {each.label for each in load_runners().values()}
    for job in workflow.jobs.values():
        assert job["runs-on"] in known | {"${{ matrix.runner }}"}


def test_the_job_matrix_has_all_that_a_shard_reads() -> None:
    matrix = next(each for each in workflows() if each.name == "matrix.yml")
    read = set(re.findall(r"\bmatrix\.(\w+)", json.dumps(matrix.jobs["shard"])))
    shard = Shard("linux_x86_64-01", "linux_x86_64", "docker", (), (), 0.0)
    (job,) = json.loads(job_matrix(planned(page()), (shard,), load_runners()))["include"]
    assert read <= set(job)


def test_documents_are_called_as_the_facts_call_them() -> None:
    lines = (project_root() / ".github" / "documents.txt").read_text(encoding="utf-8").splitlines()
    named = [line.split(" ") for line in lines]
    assert [name for name, _ in named] == sorted({claim.document for claim in load_facts()})
    languages = {claim.document: claim.language for claim in load_facts()}
    for name, path in named:
        assert path.startswith(f"content/{languages[name]}/")
        assert path.endswith("/python.md")


def _noxfile() -> str:
    return (project_root() / "noxfile.py").read_text(encoding="utf-8")


def _optional(arguments: str) -> str:
    """Return the arguments as they are where what is optional in them is given."""
    return re.sub(r"\$\{(\w+):\+([^}]*)\}", r"\2", arguments)


def _filled(word: str) -> str:
    """Return a word with samples in the place of variables."""
    return re.sub(
        r"\$\{?(\w+)(?:#[^}]*)?\}?", lambda match: SAMPLES.get(match[1], "some/where"), word
    )
