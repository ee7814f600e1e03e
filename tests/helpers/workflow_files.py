"""Parser of the project's workflows: their jobs, steps and `run:` lines."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from matrix.system.paths import project_root

__all__ = ["FOLDER", "Step", "Workflow", "nox_calls", "steps", "workflow_named", "workflows"]

FOLDER = Path(".github") / "workflows"
_SESSION = re.compile(r"\bnox -s (?P<name>\S+)(?: -- (?P<arguments>[^|;&]*))?")


@dataclasses.dataclass(frozen=True)
class Workflow:
    """A workflow; `name` is its file name. In `data`, the key `on` is `True`, as in YAML 1.1."""

    name: str
    text: str
    data: Mapping[Any, Any]

    @property
    def on(self) -> Mapping[str, Any]:
        events: Mapping[str, Any] = self.data[True]
        return events

    @property
    def jobs(self) -> Mapping[str, Mapping[str, Any]]:
        jobs: Mapping[str, Mapping[str, Any]] = self.data["jobs"]
        return jobs


@dataclasses.dataclass(frozen=True)
class Step:
    """A step of a job; its `id` is such as `matrix.yml:plan:3`."""

    workflow: Workflow
    job: str
    number: int
    data: Mapping[str, Any]

    @property
    def id(self) -> str:
        return f"{self.workflow.name}:{self.job}:{self.number}"

    @property
    def run(self) -> str:
        return str(self.data.get("run", ""))

    @property
    def uses(self) -> str:
        return str(self.data.get("uses", ""))


@functools.cache
def workflows() -> tuple[Workflow, ...]:
    """Return all workflows, by name."""
    parsed = []
    for path in sorted((project_root() / FOLDER).iterdir()):
        text = path.read_text(encoding="utf-8")
        parsed.append(Workflow(path.name, text, yaml.safe_load(text)))
    return tuple(parsed)


def workflow_named(name: str) -> Workflow:
    """Return the workflow with this file name."""
    return next(workflow for workflow in workflows() if workflow.name == name)


def steps() -> Iterator[Step]:
    """Yield every step of every workflow."""
    for workflow in workflows():
        for name, job in workflow.jobs.items():
            for number, data in enumerate(job["steps"]):
                yield Step(workflow, name, number, data)


def nox_calls(run: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the arguments, as written, of each nox session that lines call."""
    for line in run.replace("\\\n", " ").splitlines():
        if match := _SESSION.search(line.strip()):
            yield match["name"], match["arguments"] or ""
