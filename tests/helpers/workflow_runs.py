"""Local runs of workflows: jobs and steps in order, their lines run by bash, as on GitHub.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax
"""

from __future__ import annotations

import dataclasses
import itertools
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from helpers.workflow_actions import ActionError, Machine, Store, run_action
from helpers.workflow_expressions import condition_holds, expand
from helpers.workflow_files import Step, Workflow

__all__ = ["Job", "Run"]

_SECONDS = 1500
# GitHub's command for `shell: bash`.
_BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail")


@dataclasses.dataclass
class Job:
    """The result of one job; `output` and `codes` are by the id of `Step`, `outcomes` by `id:`."""

    result: str
    outputs: Mapping[str, str]
    output: Mapping[str, str]
    codes: Mapping[str, int]
    outcomes: Mapping[str, str]
    summary: str
    machine: Machine


@dataclasses.dataclass
class Run:
    """One run of a workflow; `contexts` are those of GitHub, `environ` is that of machines.

    `executed` has the ids of the steps whose lines have run.
    """

    workflow: Workflow
    store: Store
    folder: Path
    contexts: dict[str, Any]
    environ: Mapping[str, str]
    path: Sequence[str]
    executed: set[str] = dataclasses.field(default_factory=set)
    needs: dict[str, Any] = dataclasses.field(default_factory=dict)
    numbers: Iterator[int] = dataclasses.field(default_factory=itertools.count)

    def job(self, name: str, matrix: Mapping[str, str] | None = None) -> Job | None:
        """Run a job, with one combination of its matrix; return None if it is skipped."""
        data = self.workflow.jobs[name]
        names = data.get("needs", [])
        needs = {
            needed: self.needs[needed] for needed in ([names] if isinstance(names, str) else names)
        }
        failed = any(need["result"] != "success" for need in needs.values())
        contexts = {**self.contexts, "needs": needs, "matrix": matrix or {}}
        contexts["status"] = "failure" if failed else "success"
        if not condition_holds(str(data.get("if", "")), contexts):
            self.needs[name] = {"result": "skipped", "outputs": {}}
            return None
        job = self._run_job(name, data, {**contexts, "status": "success"})
        self.needs[name] = {"result": job.result, "outputs": job.outputs}
        return job

    def _run_job(self, name: str, data: Mapping[str, Any], contexts: dict[str, Any]) -> Job:
        home = self.folder / f"{name}-{next(self.numbers)}"
        machine = Machine(home / "workspace", home / "temporary", list(self.path))
        machine.temporary.mkdir(parents=True)
        contexts["runner"] = {"temp": str(machine.temporary), "os": "Linux"}
        contexts["steps"] = {}
        env = expand({**self.workflow.data.get("env", {}), **data.get("env", {})}, contexts)
        result = "success"
        output: dict[str, str] = {}
        codes: dict[str, int] = {}
        outcomes: dict[str, str] = {}
        for number, step_data in enumerate(data["steps"]):
            step = Step(self.workflow, name, number, step_data)
            step_id = str(step_data.get("id", number))
            if not condition_holds(str(step_data.get("if", "")), contexts):
                contexts["steps"][step_id] = {"outcome": "skipped", "outputs": {}}
                continue
            outputs: dict[str, str] = {}
            try:
                if step.uses:
                    inputs = _texts(expand(step_data.get("with", {}), contexts))
                    run_action(step.uses, inputs, machine, self.store)
                else:
                    step_env = _texts({**env, **expand(step_data.get("env", {}), contexts)})
                    codes[step.id], output[step.id], outputs = self._run_lines(
                        step, machine, step_env
                    )
                    self.executed.add(step.id)
                outcome = "success" if codes.get(step.id, 0) == 0 else "failure"
            except ActionError as error:
                output[step.id], outcome = str(error), "failure"
            outcomes[step_id] = outcome
            contexts["steps"][step_id] = {"outcome": outcome, "outputs": outputs}
            if outcome == "failure" and not step_data.get("continue-on-error"):
                contexts["status"] = result = "failure"
        summary = home / "summary.md"
        return Job(
            result=result,
            outputs=expand(data.get("outputs", {}), contexts),
            output=output,
            codes=codes,
            outcomes=outcomes,
            summary=summary.read_text(encoding="utf-8") if summary.exists() else "",
            machine=machine,
        )

    def _run_lines(
        self, step: Step, machine: Machine, env: Mapping[str, str]
    ) -> tuple[int, str, dict[str, str]]:
        """Return the exit code, the text and the outputs of a step's lines."""
        home = machine.temporary.parent
        script, output = home / f"{step.number}.sh", home / f"{step.number}.out"
        script.write_text(step.run, encoding="utf-8")
        output.write_text("", encoding="utf-8")
        github = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(home / "summary.md"),
            "GITHUB_WORKSPACE": str(machine.workspace),
            "RUNNER_TEMP": str(machine.temporary),
        }
        process = subprocess.run(
            (*_BASH, str(script)),
            cwd=machine.workspace,
            env={**self.environ, **github, **env, "PATH": ":".join(machine.path)},
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
        return process.returncode, process.stdout, outputs


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    return {key: _text(value) for key, value in values.items()}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
