"""Tests that run the commands of all workflows in fresh clones, by bash, in order.

Only inputs of the workflows and environment variables, which users have too, limit the runs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from helpers.fake_registry import OCI_INDEX, build_index, digest_of, fake_registry
from helpers.workflow_actions import Store
from helpers.workflow_files import steps, workflow_named
from helpers.workflow_runs import Job, Run

from matrix.distributed.github import load_runners
from matrix.docker.images.registry import digests_path, read_digests
from matrix.features.qualification.signatures import PASSWORD, make_key
from matrix.interpreters.discovery import find_interpreters
from matrix.interpreters.inspect import host_target
from matrix.services.recipes import load_recipes
from matrix.system.paths import project_root

pytestmark = [
    pytest.mark.workflows,
    pytest.mark.timeout(3000),
    pytest.mark.xdist_group("workflows"),
    pytest.mark.skipif(sys.platform != "linux", reason="only jobs on Linux are simulated"),
]


# Steps that run on machines with other systems or CPUs only.
FOREIGN_STEPS = {"tests.yml:native:2", "tests.yml:native:3"}

RELEASE = "1.20.19"
POLICY = """\
schema = "policy/1"
[require]
claims = ["000_*/runtime/cpython/3.9/linux/x86_64/*"]
targets = ["linux_x86_64"]
[evidence]
repeats = 2
"""
PAGE = """\
---
title: Python
---
| Release | Support level |
|---|---|
| `>=1.0,<2` | General Availability |

| OS | CPU | Runtime | Runtime version | Supported ddtrace versions |
|---|---|---|---|---|
| Linux | x86-64 | CPython | 3.9 | `<2` |

### Supported frameworks

| Framework Web Server | Minimum Framework Version |
|----------------------|---------------------------|
| Flask                | 1.1                       |
"""
# A fake of GitHub's command line: records its arguments, and prints what the test prepared.
GH = """\
#!{python}
import json, os, shutil, sys

folder = {folder!r}
arguments = sys.argv[1:]
with open(os.path.join(folder, "calls.jsonl"), "a") as file:
    file.write(json.dumps(arguments) + "\\n")
if arguments[:2] == ["run", "list"]:
    print("42" if os.path.isdir(os.path.join(folder, "page")) else "", end="")
elif arguments[:2] == ["run", "download"]:
    shutil.copytree(os.path.join(folder, "page"), arguments[arguments.index("--dir") + 1])
elif arguments[:2] == ["pr", "create"]:
    open(os.path.join(folder, "created"), "w").close()
elif arguments[:2] == ["pr", "list"]:
    print(int(os.path.exists(os.path.join(folder, "created"))))
elif arguments != ["auth", "setup-git"]:
    sys.exit("unexpected arguments")
"""


# Tests install nothing: apt only simulates.
SUDO = """#!/bin/sh
case "$*" in
    "apt-get install "*) exec "$@" --simulate ;;
    "apt-get update -q") ;;
    *) exit 1 ;;
esac
"""


class Hub:
    """A simulated GitHub: the repository, the tools of its machines, and its command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.origin = folder / "origin.git"
        self.gh = folder / "gh"
        (folder / "bin").mkdir()
        self.gh.mkdir()
        clone = ("git", "clone", "--quiet", "--bare", str(project_root()), str(self.origin))
        subprocess.run(clone, check=True, timeout=120)
        (folder / "nox").mkdir()
        gh = GH.format(python=sys.executable, folder=str(self.gh))
        for name, text in (("gh", gh), ("sudo", SUDO)):
            command = folder / "bin" / name
            command.write_text(text, encoding="utf-8")
            command.chmod(0o755)

    def run(
        self,
        name: str,
        event: Mapping[str, Any] | None = None,
        inputs: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
        **contexts: Mapping[str, str],
    ) -> Run:
        """Return a run of a workflow, before its first job."""
        github = {"ref_name": "main", "ref": "refs/heads/main", "event": event or {}}
        folder = self.folder / f"{name}-{len(list(self.folder.iterdir()))}"
        store = Store(self.origin, folder / "artifacts", self.folder / "nox")
        store.artifacts.mkdir(parents=True)
        all_contexts = {
            "secrets": {},
            "vars": {},
            "github": {**github, "token": "a-token"},
            "inputs": inputs or {},
            **contexts,
        }
        path = [str(self.folder / "bin"), *os.environ["PATH"].split(os.pathsep)]
        environment = {**_environ(), **(environ or {})}
        return Run(workflow_named(name), store, folder, all_contexts, environment, path)

    def calls(self, *prefix: str) -> list[list[str]]:
        """Return the calls of gh whose arguments begin with these."""
        path = self.gh / "calls.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [call for call in map(json.loads, lines) if call[: len(prefix)] == list(prefix)]


def _environ() -> dict[str, str]:
    ours = ("GITHUB_", "RUNNER_", "PYTEST", "NOX", "COMPAT_MATRIX_RESULTS")
    environ = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    # The cache of mypy identifies files by their content, wherever they are.
    return {**environ, "MYPY_CACHE_DIR": str(project_root() / ".mypy_cache")}


def not_skipped(job: Job | None) -> Job:
    """Return the job; assert that it was not skipped."""
    assert job is not None
    return job


def job_output(job: Job) -> str:
    return "\n".join(f"== {step}\n{output}" for step, output in job.output.items())


def assert_all_lines_ran(run: Run) -> None:
    ids = {step.id for step in steps() if step.run and step.workflow == run.workflow}
    assert ids - run.executed == FOREIGN_STEPS & ids


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Hub:
    installed = {interpreter.python for interpreter in find_interpreters()}
    if missing := {"3.9", "3.10", "3.13"} - installed:
        pytest.skip(f"CPython {', '.join(sorted(missing))} is not installed")
    if host_target() != "linux_x86_64":
        pytest.skip("the policy is for x86-64")
    return Hub(tmp_path_factory.mktemp("hub"))


@pytest.fixture(scope="module")
def matrix(hub: Hub) -> tuple[Run, dict[str, Job]]:
    """Return a run of the smoke profile, on this machine, with all its shards."""
    run = hub.run("matrix.yml", inputs={"profile": "smoke", "engine": "local"})
    jobs = {"plan": not_skipped(run.job("plan"))}
    assert jobs["plan"].result == "success", job_output(jobs["plan"])
    shards = json.loads(jobs["plan"].outputs["jobs"])["include"]
    results = [not_skipped(run.job("shard", shard)) for shard in shards]
    jobs |= {shard["shard"]: job for shard, job in zip(shards, results, strict=True)}
    # On GitHub, the result of a matrix is the worst of its jobs.
    success = all(job.result == "success" for job in results)
    run.needs["shard"] = {"result": "success" if success else "failure", "outputs": {}}
    jobs["collect"] = not_skipped(run.job("collect"))
    return run, jobs


def test_steps_that_are_not_run_are_for_other_machines() -> None:
    by_id = {step.id: step for step in steps() if step.run}
    assert by_id.keys() >= FOREIGN_STEPS
    local = {
        (runner.label, runner.architecture)
        for target, runner in load_runners().items()
        if target == "linux_x86_64"
    }
    for step_id in FOREIGN_STEPS:
        step = by_id[step_id]
        native = step.workflow.jobs[step.job]["strategy"]["matrix"]["include"]
        assert local.isdisjoint((item["runner"], item["architecture"]) for item in native)


@pytest.mark.engine
def test_the_tests_of_a_pull_request(hub: Hub) -> None:
    run = hub.run("tests.yml", environ={"PYTEST_ADDOPTS": "--collect-only -q -p no:cacheprovider"})
    job = not_skipped(run.job("tests", {"python": "3.10"}))
    assert job.result == "success", job_output(job)
    assert "tests collected" in job.output["tests.yml:tests:4"]
    assert re.search(r"\d+ of \d+ promises? asked .* refuted", job.output["tests.yml:tests:5"])
    assert_all_lines_ran(run)


def test_a_run_is_split_into_shards_and_collected(matrix: tuple[Run, dict[str, Job]]) -> None:
    run, jobs = matrix
    page = run.store.artifacts / "page"
    verdicts = json.loads((page / "verdicts.json").read_text(encoding="utf-8"))
    # The last job fails where a claim is refuted, and all its lines run nevertheless.
    decided = "failure" if verdicts["run"]["outcomes"].get("refuted") else "success"
    expected = {**dict.fromkeys(jobs, "success"), "collect": decided}
    assert {name: job.result for name, job in jobs.items()} == expected, [
        job_output(job) for job in jobs.values() if job.result != "success"
    ]
    servers = next(step.id for step in steps() if "apt-get install" in step.run)
    if shutil.which("apt-get"):
        assert {job.codes[servers] for job in jobs.values() if servers in job.codes} == {0}
    names = {"report.html", "junit.xml", "verdicts.json", "report.md", "badge.json"}
    assert {path.name for path in page.iterdir()} == names
    assert verdicts["run"]["profile"] == "smoke"
    assert verdicts["run"]["outcomes"]["confirmed"] > 0
    assert "confirmed" in jobs["collect"].summary
    assert {"captures", "records", "journal.jsonl"} == {
        path.name for path in (run.store.artifacts / "record").iterdir()
    }
    assert_all_lines_ran(run)


def test_a_run_with_a_missing_shard_fails_and_is_reported(
    hub: Hub, matrix: tuple[Run, dict[str, Job]]
) -> None:
    before, _ = matrix
    run = hub.run("matrix.yml")
    shutil.copytree(before.store.artifacts / "manifest", run.store.artifacts / "manifest")
    run.needs = {**before.needs, "shard": {"result": "failure", "outputs": {}}}
    job = not_skipped(run.job("collect"))
    assert job.result == "failure"
    assert job.codes == {
        "matrix.yml:collect:2": 0,
        "matrix.yml:collect:5": 11,
        "matrix.yml:collect:6": 0,
    }
    assert json.loads(before.needs["plan"]["outputs"]["jobs"])["include"][0]["shard"] in job_output(
        job
    )
    assert (run.store.artifacts / "page" / "report.html").is_file()
    assert (run.store.artifacts / "record" / "records").is_dir()


def test_collect_is_skipped_after_a_failed_plan(hub: Hub) -> None:
    run = hub.run("matrix.yml")
    run.needs = {
        "plan": {"result": "failure", "outputs": {}},
        "shard": {"result": "skipped", "outputs": {}},
    }
    assert run.job("collect") is None


def assert_a_changed_record_is_not_signed(run: Run) -> None:
    (record,) = (run.store.artifacts / "record").iterdir()
    content = record.read_bytes()
    record.write_bytes(content + b" ")
    job = not_skipped(run.job("sign"))
    assert job.codes["qualify.yml:sign:4"] != 0
    assert "qualify.yml:sign:5" not in job.codes
    record.write_bytes(content)


@pytest.mark.engine
def test_a_release_is_qualified_signed_and_checked(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD, "opens it")
    public = make_key(tmp_path / "key.pem")
    monkeypatch.delenv(PASSWORD)
    (tmp_path / "policy.toml").write_text(POLICY, encoding="utf-8")
    run = hub.run(
        "qualify.yml",
        inputs={"ddtrace": RELEASE, "policy": str(tmp_path / "policy.toml")},
        secrets={
            "QUALIFY_KEY": (tmp_path / "key.pem").read_text(encoding="utf-8"),
            "QUALIFY_KEY_PASSWORD": "opens it",
        },
        vars={"QUALIFY_PUBLIC_KEY": public.read_text(encoding="utf-8")},
    )
    measured = not_skipped(run.job("measure"))
    assert measured.result == "success", job_output(measured)
    assert_a_changed_record_is_not_signed(run)
    signed = not_skipped(run.job("sign"))
    assert signed.result == "success", job_output(signed)
    assert not (signed.machine.temporary / "key.pem").exists()
    assert "PRIVATE KEY" not in job_output(signed)
    checked = not_skipped(run.job("check"))
    assert checked.result == "success", job_output(checked)
    assert f"valid        ddtrace {RELEASE}" in checked.output["qualify.yml:check:4"]
    assert_all_lines_ran(run)


def test_a_release_of_a_tag_that_does_not_qualify_is_not_signed(hub: Hub, tmp_path: Path) -> None:
    make_key(tmp_path / "key.pem")
    secrets = {"QUALIFY_KEY": (tmp_path / "key.pem").read_text(encoding="utf-8")}
    run = hub.run("qualify.yml", secrets=secrets)
    run.contexts["github"]["ref_name"] = "ddtrace-0.0.1"
    job = not_skipped(run.job("measure"))
    assert job.result == "failure"
    assert job.codes["qualify.yml:measure:3"] != 0
    assert "0.0.1" in job.output["qualify.yml:measure:3"]
    assert run.job("sign") is None
    assert not (run.store.artifacts / "signoff").exists()
    assert run.job("check") is None


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Yield an environment with a local repository of documents and a local registry."""
    pages = tmp_path / "documentation"
    for line in (project_root() / ".github" / "documents.txt").read_text("utf-8").splitlines():
        page = pages / line.split(" ")[1]
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(PAGE, encoding="utf-8")
    git = ("git", "-C", str(pages), "-c", "user.name=x", "-c", "user.email=x@x.example")
    (pages / "large.bin").write_bytes(b"x")
    for arguments in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "--message", "x")):
        subprocess.run((*git, *arguments), check=True, timeout=60)
    subprocess.run((*git, "config", "uploadpack.allowFilter", "true"), check=True, timeout=60)
    with fake_registry() as registry:
        recipes = load_recipes().by_name.values()
        of_services = {source.image for recipe in recipes for source in recipe.sources}
        pattern = read_digests(digests_path()).pattern
        of_pythons = {pattern.name.format(python=python) for python in pattern.pythons}
        for name in (of_services | of_pythons) - {""}:
            repository, _, tag = name.partition(":")
            platforms = ("linux/amd64", "linux/386", "linux/arm64/v8")
            digests = {platform: digest_of(f"{name}{platform}".encode()) for platform in platforms}
            registry.add(f"library/{repository}", OCI_INDEX, build_index(OCI_INDEX, digests), tag)
        yield {
            "COMPAT_MATRIX_REGISTRY": f"{registry.host}/library",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.file://{pages}.insteadOf",
            "GIT_CONFIG_VALUE_0": "https://github.com/DataDog/documentation",
        }


def test_refreshed_data_is_proposed_on_one_branch(
    hub: Hub, outside: dict[str, str], matrix: tuple[Run, dict[str, Job]]
) -> None:
    shutil.copytree(matrix[0].store.artifacts / "page", hub.gh / "page")
    run = hub.run("refresh.yml", environ=outside)
    job = not_skipped(run.job("refresh"))
    shutil.rmtree(hub.gh / "page")
    assert job.result == "success", job_output(job)
    steps = ("facts", "images", "services", "locks", "releases", "smoke", "environments")
    names = (*steps, "durations")
    assert {name: job.outcomes[name] for name in names} == dict.fromkeys(names, "success")
    assert job.outputs == {"changed": "true"}
    proposed = not_skipped(run.job("propose"))
    assert proposed.result == "success", job_output(proposed)
    assert_all_lines_ran(run)
    # Again, while the pull request is open: the branch is pushed again, and no other is opened.
    again = hub.run("refresh.yml", environ=outside)
    shutil.copytree(run.store.artifacts, again.store.artifacts, dirs_exist_ok=True)
    again.needs = run.needs
    assert not_skipped(again.job("propose")).result == "success"
    (created,) = hub.calls("pr", "create")
    assert created[created.index("--head") + 1] == "refresh"
    assert created[created.index("--base") + 1] == "main"
    show = ("git", "-C", str(hub.origin), "diff", "--name-only", "main", "refresh")
    changed = subprocess.run(show, capture_output=True, text=True, check=True).stdout.split()
    data = ("digests", "smoke", "service_images", "durations")
    assert {"matrix/facts/claims.toml", *(f"matrix/data/{name}.toml" for name in data)} <= set(
        changed
    )
    assert all(path.startswith(("matrix/", "requirements/")) for path in changed)


def test_failed_refreshes_are_reported_and_open_no_pull_request(hub: Hub, tmp_path: Path) -> None:
    unreachable = {
        "COMPAT_MATRIX_REGISTRY": "127.0.0.1:9/library",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{tmp_path}/nothing.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/DataDog/documentation",
        # No index answers, and the cache is empty.
        "COMPAT_MATRIX_CACHE": str(tmp_path / "cache"),
        "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple",
    }
    calls = len(hub.calls("pr"))
    run = hub.run("refresh.yml", environ=unreachable)
    job = not_skipped(run.job("refresh"))
    assert job.result == "failure"
    # The smoke cells and the locks are of the committed releases.
    refreshed = ("facts", "images", "services", "locks", "releases")
    assert {name: job.outcomes[name] for name in refreshed} == dict.fromkeys(refreshed, "failure")
    assert "facts=failure images=failure services=failure" in " ".join(job.summary.split())
    assert not job.outputs["changed"]
    assert run.job("propose") is None
    assert len(hub.calls("pr")) == calls
