"""Every line of the workflows that can run here, run: in fresh clones, by bash, in order.

Narrowed only as a user could: by the inputs of a workflow, and by the environment.
"""

from __future__ import annotations

import enum
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from helpers.fake_registry import OCI_INDEX, digest_of, fake_registry, build_index
from helpers.workflow_actions import Store
from helpers.workflow_files import Workflow, steps, workflows
from helpers.workflow_runs import Job, Run

from matrix.distributed.github import load_runners
from matrix.docker.images.digests import digests_path, read_digests
from matrix.features.qualification.dsse import PASSWORD, make_key
from matrix.interpreters.discovery import find_interpreters
from matrix.interpreters.targets import host_target
from matrix.services.recipes import load_recipes
from matrix.system.paths import project_root

pytestmark = [
    pytest.mark.workflows,
    pytest.mark.timeout(3000),
    pytest.mark.xdist_group("workflows"),
    pytest.mark.skipif(sys.platform != "linux", reason="the jobs are those on Linux"),
]


class Why(enum.Enum):
    """Why a line cannot run here."""

    OTHER_MACHINE = "only machines of other systems and CPUs run it"


CANNOT = {
    "tests.yml:native:2": Why.OTHER_MACHINE,
    "tests.yml:native:3": Why.OTHER_MACHINE,
}

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
# The command line of GitHub: tells what it is asked, and answers with what the test prepared.
GH = """\
#!{python}
import json, os, shutil, sys

folder = {folder!r}
words = sys.argv[1:]
with open(os.path.join(folder, "asked.jsonl"), "a") as file:
    file.write(json.dumps(words) + "\\n")
if words[:2] == ["run", "list"]:
    print("42" if os.path.isdir(os.path.join(folder, "page")) else "", end="")
elif words[:2] == ["run", "download"]:
    shutil.copytree(os.path.join(folder, "page"), words[words.index("--dir") + 1])
elif words[:2] == ["pr", "create"]:
    open(os.path.join(folder, "verify_envelope"), "w").close()
elif words[:2] == ["pr", "list"]:
    print(int(os.path.exists(os.path.join(folder, "verify_envelope"))))
elif words != ["auth", "setup-git"]:
    sys.exit("what is gh to do?")
"""


# Nothing is installed by a test: apt says what it would do.
SUDO = """#!/bin/sh
case "$*" in
    "apt-get install "*) exec "$@" --simulate ;;
    "apt-get update -q") ;;
    *) exit 1 ;;
esac
"""


class Hub:
    """A GitHub of our own: the repository, what machines have, and a command line."""

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
        """Return a run of a workflow; none of its jobs has run."""
        github = {"ref_name": "main", "ref": "refs/heads/main", "event": event or {}}
        folder = self.folder / f"{name}-{len(list(self.folder.iterdir()))}"
        store = Store(self.origin, folder / "artifacts", self.folder / "nox")
        store.artifacts.mkdir(parents=True)
        known = {"github": {**github, "token": "a-token"}, "inputs": inputs or {}, **contexts}
        known = {"secrets": {}, "vars": {}, **known}
        path = [str(self.folder / "bin"), *os.environ["PATH"].split(os.pathsep)]
        return Run(_workflow(name), store, folder, known, {**_environ(), **(environ or {})}, path)

    def asked(self, *words: str) -> list[list[str]]:
        """Return what gh was asked that begins with these words."""
        path = self.gh / "asked.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [said for said in map(json.loads, lines) if said[: len(words)] == list(words)]


def _workflow(name: str) -> Workflow:
    return next(each for each in workflows() if each.name == name)


def _environ() -> dict[str, str]:
    ours = ("GITHUB_", "RUNNER_", "PYTEST", "NOX", "COMPAT_MATRIX_RESULTS")
    environ = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    # What mypy knows of files it tells by their content, wherever they lie.
    return {**environ, "MYPY_CACHE_DIR": str(project_root() / ".mypy_cache")}


def the(job: Job | None) -> Job:
    """Return a job that was not left out."""
    assert job is not None
    return job


def told(job: Job) -> str:
    return "\n".join(f"== {place}\n{said}" for place, said in job.said.items())


def assert_all_lines_ran(run: Run) -> None:
    lines = {each.place for each in steps() if each.run and each.workflow == run.workflow}
    assert lines - run.ran == {place for place in CANNOT if place in lines}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Hub:
    wanted = {"3.9", "3.10", "3.13"}
    if missing := wanted - {each.python for each in find_interpreters()}:
        pytest.skip(f"no CPython {', '.join(sorted(missing))} here")
    if host_target() != "linux_x86_64":
        pytest.skip("the policy is about x86-64")
    return Hub(tmp_path_factory.mktemp("hub"))


@pytest.fixture(scope="module")
def matrix(hub: Hub) -> tuple[Run, dict[str, Job]]:
    """Return a run of the smoke profile, on this machine, with all its shards."""
    run = hub.run("matrix.yml", inputs={"profile": "smoke", "engine": "local"})
    jobs = {"plan": the(run.job("plan"))}
    assert jobs["plan"].result == "success", told(jobs["plan"])
    shards = json.loads(jobs["plan"].outputs["jobs"])["include"]
    results = [the(run.job("shard", shard)) for shard in shards]
    jobs |= {shard["shard"]: job for shard, job in zip(shards, results, strict=True)}
    # What GitHub makes of the jobs of a matrix.
    worst = {"success"} if all(job.result == "success" for job in results) else {"failure"}
    run.needs["shard"] = {"result": worst.pop(), "outputs": {}}
    jobs["collect"] = the(run.job("collect"))
    return run, jobs


def test_a_line_that_cannot_run_here_is_one_and_for_the_reason_told() -> None:
    places = {each.place: each for each in steps() if each.run}
    assert CANNOT.keys() <= places.keys()
    here = {
        (runner.label, runner.architecture)
        for target, runner in load_runners().items()
        if target == "linux_x86_64"
    }
    for place in CANNOT:
        step = places[place]
        native = step.workflow.jobs[step.job]["strategy"]["matrix"]["include"]
        assert here.isdisjoint((each["runner"], each["architecture"]) for each in native)


def test_the_tests_of_a_pull_request(hub: Hub) -> None:
    run = hub.run("tests.yml", environ={"PYTEST_ADDOPTS": "--collect-only -q -p no:cacheprovider"})
    job = the(run.job("tests", {"python": "3.10"}))
    assert job.result == "success", told(job)
    assert "tests collected" in job.said["tests.yml:tests:4"]
    assert_all_lines_ran(run)


def test_a_run_is_shared_out_run_and_collected(matrix: tuple[Run, dict[str, Job]]) -> None:
    run, jobs = matrix
    assert {name: job.result for name, job in jobs.items()} == dict.fromkeys(jobs, "success"), [
        told(job) for job in jobs.values() if job.result != "success"
    ]
    servers = next(each.place for each in steps() if "apt-get install" in each.run)
    if shutil.which("apt-get"):
        assert {job.codes[servers] for job in jobs.values() if servers in job.codes} == {0}
    page = run.store.artifacts / "page"
    names = {"report.html", "junit.xml", "verdicts.json", "report.md", "badge.json"}
    assert {path.name for path in page.iterdir()} == names
    verdicts = json.loads((page / "verdicts.json").read_text(encoding="utf-8"))
    assert verdicts["run"]["profile"] == "smoke"
    assert verdicts["run"]["outcomes"]["confirmed"] > 0
    assert "confirmed" in jobs["collect"].summary
    assert {"captures", "records", "journal.jsonl"} == {
        path.name for path in (run.store.artifacts / "record").iterdir()
    }
    assert_all_lines_ran(run)


def test_a_run_with_a_shard_that_never_ran_fails_and_reports_all_the_same(
    hub: Hub, matrix: tuple[Run, dict[str, Job]]
) -> None:
    before, _ = matrix
    run = hub.run("matrix.yml")
    shutil.copytree(before.store.artifacts / "manifest", run.store.artifacts / "manifest")
    run.needs = {**before.needs, "shard": {"result": "failure", "outputs": {}}}
    job = the(run.job("collect"))
    assert job.result == "failure"
    assert job.codes == {
        "matrix.yml:collect:2": 0,
        "matrix.yml:collect:5": 11,
        "matrix.yml:collect:6": 0,
    }
    assert json.loads(before.needs["plan"]["outputs"]["jobs"])["include"][0]["shard"] in told(job)
    assert (run.store.artifacts / "page" / "report.html").is_file()
    assert (run.store.artifacts / "record" / "records").is_dir()


def test_nothing_is_collected_of_a_plan_that_failed(hub: Hub) -> None:
    run = hub.run("matrix.yml")
    run.needs = {
        "plan": {"result": "failure", "outputs": {}},
        "shard": {"result": "skipped", "outputs": {}},
    }
    assert run.job("collect") is None


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
    qualified = the(run.job("qualify"))
    assert qualified.result == "success", told(qualified)
    assert not (qualified.machine.temporary / "key.pem").exists()
    assert "PRIVATE KEY" not in told(qualified)
    checked = the(run.job("check"))
    assert checked.result == "success", told(checked)
    assert f"it holds     ddtrace {RELEASE}" in checked.said["qualify.yml:check:4"]
    assert_all_lines_ran(run)


def test_a_release_of_a_tag_that_does_not_qualify_is_not_signed(hub: Hub, tmp_path: Path) -> None:
    make_key(tmp_path / "key.pem")
    secrets = {"QUALIFY_KEY": (tmp_path / "key.pem").read_text(encoding="utf-8")}
    run = hub.run("qualify.yml", secrets=secrets)
    run.contexts["github"]["ref_name"] = "ddtrace-0.0.1"
    job = the(run.job("qualify"))
    assert job.result == "failure"
    assert job.codes["qualify.yml:qualify:3"] != 0
    assert "0.0.1" in job.said["qualify.yml:qualify:3"]
    assert not (run.store.artifacts / "signoff").exists()
    assert run.job("check") is None


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Yield the environment in which the documents' repository and the registry are ours."""
    pages = tmp_path / "documentation"
    for line in (project_root() / ".github" / "documents.txt").read_text("utf-8").splitlines():
        page = pages / line.split(" ")[1]
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(PAGE, encoding="utf-8")
    git = ("git", "-C", str(pages), "-c", "user.name=x", "-c", "user.email=x@x.example")
    (pages / "large.bin").write_bytes(b"x")
    for words in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "--message", "x")):
        subprocess.run((*git, *words), check=True, timeout=60)
    subprocess.run((*git, "config", "uploadpack.allowFilter", "true"), check=True, timeout=60)
    with fake_registry() as registry:
        ways = [way for recipe in load_recipes().by_name.values() for way in recipe.sources]
        wanted = read_digests(digests_path()).pattern
        names = [wanted.name.format(python=python) for python in wanted.pythons]
        for name in {*names, *(way.image for way in ways if way.image)}:
            repository, _, tag = name.partition(":")
            platforms = ("linux/amd64", "linux/386", "linux/arm64/v8")
            digests = {each: digest_of(f"{name}{each}".encode()) for each in platforms}
            registry.add(f"library/{repository}", OCI_INDEX, build_index(OCI_INDEX, digests), tag)
        yield {
            "COMPAT_MATRIX_REGISTRY": f"{registry.host}/library",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.file://{pages}.insteadOf",
            "GIT_CONFIG_VALUE_0": "https://github.com/DataDog/documentation",
        }


def test_what_is_newer_is_proposed_on_one_branch(
    hub: Hub, outside: dict[str, str], matrix: tuple[Run, dict[str, Job]]
) -> None:
    shutil.copytree(matrix[0].store.artifacts / "page", hub.gh / "page")
    run = hub.run("refresh.yml", environ=outside)
    job = the(run.job("refresh"))
    shutil.rmtree(hub.gh / "page")
    assert job.result == "success", told(job)
    steady = ("facts", "images", "services", "locks", "smoke", "durations")
    assert {name: job.outcomes[name] for name in steady} == dict.fromkeys(steady, "success")
    assert job.outputs == {"changed": "true"}
    proposed = the(run.job("propose"))
    assert proposed.result == "success", told(proposed)
    assert_all_lines_ran(run)
    # Again, while the pull request is open: the branch is made anew, and nothing else is verify_envelope.
    again = hub.run("refresh.yml", environ=outside)
    shutil.copytree(run.store.artifacts, again.store.artifacts, dirs_exist_ok=True)
    again.needs = run.needs
    assert the(again.job("propose")).result == "success"
    (created,) = hub.asked("pr", "create")
    assert created[created.index("--head") + 1] == "refresh"
    assert created[created.index("--base") + 1] == "main"
    show = ("git", "-C", str(hub.origin), "diff", "--name-only", "main", "refresh")
    changed = subprocess.run(show, capture_output=True, text=True, check=True).stdout.split()
    wanted = {"matrix/facts/claims.toml", "matrix/data/digests.toml", "matrix/data/smoke.toml"}
    assert wanted | {"matrix/data/service_images.toml", "matrix/data/durations.toml"} <= set(
        changed
    )
    assert all(path.startswith(("matrix/", "requirements/")) for path in changed)


def test_what_cannot_be_refreshed_is_told_and_nothing_is_opened_for_nothing(
    hub: Hub, tmp_path: Path
) -> None:
    nowhere = {
        "COMPAT_MATRIX_REGISTRY": "127.0.0.1:9/library",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{tmp_path}/nothing.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/DataDog/documentation",
        # No index answers, and nothing is known of it.
        "COMPAT_MATRIX_CACHE": str(tmp_path / "cache"),
        "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple",
    }
    asked = len(hub.asked("pr"))
    run = hub.run("refresh.yml", environ=nowhere)
    job = the(run.job("refresh"))
    assert job.result == "failure"
    refreshed = ("facts", "images", "services", "locks", "smoke")
    assert {name: job.outcomes[name] for name in refreshed} == dict.fromkeys(refreshed, "failure")
    assert "facts=failure images=failure services=failure" in " ".join(job.summary.split())
    assert not job.outputs["changed"]
    assert run.job("propose") is None
    assert len(hub.asked("pr")) == asked
