"""Tests that workflows pin their actions, have few permissions and limits, and call what exists."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from pathlib import Path

import pytest
from helpers.planning_fixture import page, planned
from helpers.workflow_files import Step, Workflow, nox_calls, steps, workflow_named, workflows

from matrix.__main__ import COMMANDS, add_command
from matrix.distributed.github import job_matrix, load_runners
from matrix.distributed.manifest import Shard
from matrix.documents.facts import load_facts
from matrix.planning.profiles import profile_names
from matrix.system.paths import project_root

STEPS = list(steps())
RUNS = [step for step in STEPS if step.run]
CALLS = [
    pytest.param(name, arguments, id=f"{step.id}:{name}")
    for step in RUNS
    for name, arguments in nox_calls(step.run)
]
each_workflow = pytest.mark.parametrize("workflow", workflows(), ids=lambda item: item.name)
each_step = pytest.mark.parametrize("step", STEPS, ids=lambda step: step.id)
each_run = pytest.mark.parametrize("step", RUNS, ids=lambda step: step.id)
# Values for variables in arguments, for the parser of the command.
SAMPLES = {
    "PROFILE": "smoke",
    "ENGINE": "auto",
    "SHARD": "linux_x86_64-01",
    "RELEASE": "2.21.12",
    "POLICY": "policy.toml",
}


def test_there_is_a_workflow_for_each_purpose() -> None:
    assert {workflow.name for workflow in workflows()} == {
        "kubernetes.yml",
        "matrix.yml",
        "qualify.yml",
        "refresh.yml",
        "tests.yml",
    }


@each_workflow
def test_every_action_is_pinned_by_commit_with_its_version_in_a_comment(workflow: Workflow) -> None:
    lines = [line for line in workflow.text.splitlines() if re.search(r"\buses:", line)]
    assert len(lines) == sum(
        "uses" in step for job in workflow.jobs.values() for step in job["steps"]
    )
    for line in lines:
        assert re.search(r"uses: [\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_all_uses_of_an_action_have_one_version() -> None:
    pins = {step.uses for step in STEPS if step.uses}
    assert len(pins) == len({pin.partition("@")[0] for pin in pins})


@each_workflow
def test_a_job_has_only_its_own_permissions(workflow: Workflow) -> None:
    assert workflow.data["permissions"] == {}
    for name, job in workflow.jobs.items():
        writes = {scope for scope, access in job["permissions"].items() if access != "read"}
        proposes = (workflow.name, name) == ("refresh.yml", "propose")
        assert writes == ({"contents", "pull-requests"} if proposes else set()), name


def test_the_job_that_may_write_runs_nothing_of_the_project() -> None:
    for step in (step for step in RUNS if step.job == "propose"):
        assert not re.search(r"\b(nox|python|pip)\b", step.run)


@each_step
def test_no_credentials_stay_in_a_checkout(step: Step) -> None:
    if step.uses.startswith("actions/checkout@"):
        assert step.data["with"]["persist-credentials"] is False


@each_run
def test_values_reach_commands_only_through_the_environment(step: Step) -> None:
    assert "${{" not in step.run


@each_workflow
def test_secrets_reach_one_step_of_a_job_with_an_environment(workflow: Workflow) -> None:
    with_secrets = [
        step for step in STEPS if step.workflow == workflow and "secrets." in str(step.data)
    ]
    assert [step.id for step in with_secrets] == (
        ["qualify.yml:sign:5"] if workflow.name == "qualify.yml" else []
    )
    assert all("environment" in workflow.jobs[step.job] for step in with_secrets)
    assert "secrets." not in str({k: v for k, v in workflow.data.items() if k != "jobs"})


def test_the_job_with_the_key_runs_no_release_and_nothing_without_a_hash() -> None:
    job = [step for step in STEPS if (step.workflow.name, step.job) == ("qualify.yml", "sign")]
    assert not any(re.search(r"\bnox\b", step.run) for step in job)
    installs, digest, sign = (step.run for step in job if step.run)
    assert "--no-deps --require-hashes --requirement requirements/" in installs
    # What the other job measured is verified before any secret is there.
    assert "sha256sum --check" in digest
    assert "secrets." in str(job[-2].data)
    assert "python -m matrix qualify --record" in sign
    assert sign.count("python") == 1
    # That job has no secret, and no environment that could have some.
    measure = workflow_named("qualify.yml").jobs["measure"]
    assert "environment" not in measure
    assert workflow_named("qualify.yml").jobs["sign"]["needs"] == "measure"


def test_releases_are_run_in_containers() -> None:
    for step in RUNS:
        for name, arguments in nox_calls(step.run):
            if name in {"verify", "qualify"} and "--shard" not in arguments:
                assert "--engine docker" in arguments, step.id
    # A shard runs where its target's runner says: in containers on all systems that have them.
    for target, runner in load_runners().items():
        assert (runner.engine == "docker") is target.startswith("linux_"), target


def test_claims_about_kubernetes_are_tested_on_the_cluster_that_was_made() -> None:
    lines = [step.run for step in RUNS if step.workflow.name == "kubernetes.yml"]
    (name,) = re.findall(r"kind create cluster --name (\w+)", "".join(lines))
    (verify,) = (
        arguments for run in lines for call, arguments in nox_calls(run) if call == "verify"
    )
    assert f"--place kubernetes --context kind-{name} --claim '*/deployment/*kubernetes*'" in verify


@each_workflow
def test_every_job_has_a_time_limit_and_every_workflow_a_concurrency_group(
    workflow: Workflow,
) -> None:
    assert workflow.data["concurrency"]["group"].startswith(Path(workflow.name).stem)
    assert all(1 <= job["timeout-minutes"] <= 360 for job in workflow.jobs.values())


@each_workflow
def test_every_command_is_run_by_bash_on_windows_too(workflow: Workflow) -> None:
    assert workflow.data["defaults"] == {"run": {"shell": "bash"}}
    assert not any("shell" in step for job in workflow.jobs.values() for step in job["steps"])


@each_workflow
def test_every_schedule_has_a_comment(workflow: Workflow) -> None:
    crons = [schedule["cron"] for schedule in workflow.on.get("schedule", ())]
    for cron in crons:
        assert re.search(rf'- cron: "{re.escape(cron)}" # \w+', workflow.text), cron
    # Expressions compare with existing schedules only.
    for compared in re.findall(r"github\.event\.schedule == '([^']+)'", workflow.text):
        assert compared in crons


def test_the_nightly_and_the_weekly_run_are_on_different_days() -> None:
    matrix = workflow_named("matrix.yml")
    nightly, weekly = (schedule["cron"].split()[4] for schedule in matrix.on["schedule"])
    assert (nightly, weekly) == ("1-6", "0")


def test_the_profiles_that_can_be_chosen_exist() -> None:
    matrix = workflow_named("matrix.yml")
    options = matrix.on["workflow_dispatch"]["inputs"]["profile"]["options"]
    assert set(options) == set(profile_names())


@pytest.mark.parametrize(("name", "arguments"), CALLS)
def test_every_called_session_exists_and_accepts_its_arguments(name: str, arguments: str) -> None:
    sessions = re.findall(r'@nox\.session\((?:name="([\w-]+)")?.*\)\ndef (\w+)', _noxfile())
    assert name in {explicit or function for explicit, function in sessions}
    if name not in COMMANDS:
        assert name in ("tests", "lint", "lock")
        return
    commands = argparse.ArgumentParser(exit_on_error=False).add_subparsers(dest="command")
    add_command(commands, name)
    argv = [_substitute(word) for word in shlex.split(_with_optional(arguments))]
    assert callable(commands.choices[name].parse_args(argv).run)


def test_an_unknown_session_or_argument_is_an_error() -> None:
    with pytest.raises(SystemExit):
        test_every_called_session_exists_and_accepts_its_arguments("plan", "--githb")
    with pytest.raises(AssertionError):
        test_every_called_session_exists_and_accepts_its_arguments("plann", "")


def test_tests_run_on_every_runner_that_shards_may_use() -> None:
    of_shards = {(runner.label, runner.architecture) for runner in load_runners().values()}
    jobs = workflow_named("tests.yml").jobs
    native = jobs["native"]["strategy"]["matrix"]["include"]
    of_tests = {(combination["runner"], combination["architecture"]) for combination in native}
    assert of_tests | {(jobs["tests"]["runs-on"], "x64")} == of_shards


@each_workflow
def test_every_job_runs_on_a_configured_runner(workflow: Workflow) -> None:
    labels = {runner.label for runner in load_runners().values()}
    for job in workflow.jobs.values():
        assert job["runs-on"] in labels | {"${{ matrix.runner }}"}


def test_the_job_matrix_has_all_keys_that_a_shard_reads() -> None:
    matrix = workflow_named("matrix.yml")
    keys = set(re.findall(r"\bmatrix\.(\w+)", json.dumps(matrix.jobs["shard"])))
    shard = Shard("linux_x86_64-01", "linux_x86_64", "docker", (), (), 0.0)
    (job,) = json.loads(job_matrix(planned(page()), (shard,), load_runners()))["include"]
    assert keys <= set(job)


def test_documents_have_the_names_of_the_facts() -> None:
    lines = (project_root() / ".github" / "documents.txt").read_text(encoding="utf-8").splitlines()
    documents = [line.split(" ") for line in lines]
    assert [name for name, _ in documents] == sorted({claim.document for claim in load_facts()})
    languages = {claim.document: claim.language for claim in load_facts()}
    for name, path in documents:
        assert path.startswith(f"content/{languages[name]}/")
        assert path.endswith("/python.md")


def _noxfile() -> str:
    return (project_root() / "noxfile.py").read_text(encoding="utf-8")


def _with_optional(arguments: str) -> str:
    """Return the arguments with the optional parts of `${NAME:+...}`."""
    return re.sub(r"\$\{(\w+):\+([^}]*)\}", r"\2", arguments)


def _substitute(word: str) -> str:
    """Return a word with sample values instead of variables."""
    return re.sub(
        r"\$\{?(\w+)(?:#[^}]*)?\}?", lambda match: SAMPLES.get(match[1], "some/where"), word
    )
