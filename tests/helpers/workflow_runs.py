"""A workflow, run here: its jobs and steps in order, its lines by bash, as GitHub runs them.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax
"""

from __future__ import annotations

import dataclasses
import itertools
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from helpers.workflow_actions import ActionError, Machine, Store, act
from helpers.workflow_expressions import filled, holds
from helpers.workflow_files import Step, Workflow

__all__ = ["Job", "Run"]

_SECONDS = 1500
# What GitHub calls bash with where a workflow says `shell: bash`.
_BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail")


@dataclasses.dataclass
class Job:
    """How one job ended; `said` is what its lines said, by place, `outcomes` by the steps' ids."""

    result: str
    outputs: Mapping[str, str]
    said: Mapping[str, str]
    codes: Mapping[str, int]
    outcomes: Mapping[str, str]
    summary: str
    machine: Machine


@dataclasses.dataclass
class Run:
    """One run of a workflow: `contexts` is what GitHub would know, `environ` what machines have."""

    workflow: Workflow
    store: Store
    folder: Path
    contexts: dict[str, Any]
    environ: Mapping[str, str]
    path: Sequence[str]
    ran: set[str] = dataclasses.field(default_factory=set)
    needs: dict[str, Any] = dataclasses.field(default_factory=dict)
    numbers: Iterator[int] = dataclasses.field(default_factory=itertools.count)

    def job(self, name: str, matrix: Mapping[str, str] | None = None) -> Job | None:
        """Run a job, with one combination of its matrix; return None where it is left out."""
        said = self.workflow.jobs[name]
        wanted = said.get("needs", [])
        needs = {
            each: self.needs[each] for each in ([wanted] if isinstance(wanted, str) else wanted)
        }
        failed = any(each["result"] != "success" for each in needs.values())
        contexts = {**self.contexts, "needs": needs, "matrix": matrix or {}}
        contexts["status"] = "failure" if failed else "success"
        if not holds(str(said.get("if", "")), contexts):
            self.needs[name] = {"result": "skipped", "outputs": {}}
            return None
        job = self._run(name, said, {**contexts, "status": "success"})
        self.needs[name] = {"result": job.result, "outputs": job.outputs}
        return job

    def _run(self, name: str, said: Mapping[str, Any], contexts: dict[str, Any]) -> Job:
        home = self.folder / f"{name}-{next(self.numbers)}"
        machine = Machine(home / "workspace", home / "temporary", list(self.path))
        machine.temporary.mkdir(parents=True)
        contexts["runner"] = {"temp": str(machine.temporary), "os": "Linux"}
        contexts["steps"] = {}
        env = filled({**self.workflow.said.get("env", {}), **said.get("env", {})}, contexts)
        job = Job("success", {}, {}, {}, {}, "", machine)
        told: dict[str, str] = {}
        codes: dict[str, int] = {}
        outcomes: dict[str, str] = {}
        for number, what in enumerate(said["steps"]):
            step = Step(self.workflow, name, number, what)
            id_ = str(what.get("id", number))
            if not holds(str(what.get("if", "")), contexts):
                contexts["steps"][id_] = {"outcome": "skipped", "outputs": {}}
                continue
            outputs: dict[str, str] = {}
            try:
                if step.uses:
                    inputs = filled(what.get("with", {}), contexts)
                    act(step.uses, {k: _text(v) for k, v in inputs.items()}, machine, self.store)
                else:
                    stepwise = {**env, **filled(what.get("env", {}), contexts)}
                    ended = self._line(step, machine, {k: _text(v) for k, v in stepwise.items()})
                    codes[step.place], told[step.place], outputs = ended
                    self.ran.add(step.place)
                outcome = "success" if codes.get(step.place, 0) == 0 else "failure"
            except ActionError as error:
                told[step.place], outcome = str(error), "failure"
            outcomes[id_] = outcome
            contexts["steps"][id_] = {"outcome": outcome, "outputs": outputs}
            if outcome == "failure" and not what.get("continue-on-error"):
                contexts["status"] = job.result = "failure"
        summary = machine.temporary.parent / "summary.md"
        job.summary = summary.read_text(encoding="utf-8") if summary.exists() else ""
        job.outputs = filled(said.get("outputs", {}), contexts)
        job.said, job.codes, job.outcomes = told, codes, outcomes
        return job

    def _line(
        self, step: Step, machine: Machine, env: Mapping[str, str]
    ) -> tuple[int, str, dict[str, str]]:
        home = machine.temporary.parent
        script, output = home / f"{step.number}.sh", home / f"{step.number}.out"
        script.write_text(step.run, encoding="utf-8")
        output.write_text("", encoding="utf-8")
        told = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(home / "summary.md"),
            "GITHUB_WORKSPACE": str(machine.workspace),
            "RUNNER_TEMP": str(machine.temporary),
        }
        environ = {**self.environ, **told, **env, "PATH": ":".join(machine.path)}
        ended = subprocess.run(
            (*_BASH, str(script)),
            cwd=machine.workspace,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        lines = output.read_text(encoding="utf-8").splitlines()
        assert all("=" in line and "<<" not in line.partition("=")[0] for line in lines), lines
        outputs = dict(line.split("=", 1) for line in lines)
        return ended.returncode, ended.stdout, outputs


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
