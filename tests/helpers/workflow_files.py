"""The project's workflows, as what they say: jobs, steps and their `run:` lines."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from matrix.system.paths import project_root

__all__ = ["FOLDER", "Step", "Workflow", "commands_of", "steps", "workflows"]

FOLDER = Path(".github") / "workflows"
_SESSION = re.compile(r"\bnox -s (?P<name>\S+)(?: -- (?P<arguments>.*))?$")


@dataclasses.dataclass(frozen=True)
class Workflow:
    """`name` is the file's. In `said`, the key `on` is what YAML 1.1 makes of it: `True`."""

    name: str
    text: str
    said: Mapping[Any, Any]

    @property
    def on(self) -> Mapping[str, Any]:
        events: Mapping[str, Any] = self.said[True]
        return events

    @property
    def jobs(self) -> Mapping[str, Mapping[str, Any]]:
        jobs: Mapping[str, Mapping[str, Any]] = self.said["jobs"]
        return jobs


@dataclasses.dataclass(frozen=True)
class Step:
    """One step; `place` names it: `matrix.yml:plan:3`."""

    workflow: Workflow
    job: str
    number: int
    said: Mapping[str, Any]

    @property
    def place(self) -> str:
        return f"{self.workflow.name}:{self.job}:{self.number}"

    @property
    def run(self) -> str:
        return str(self.said.get("run", ""))

    @property
    def uses(self) -> str:
        return str(self.said.get("uses", ""))


@functools.cache
def workflows() -> tuple[Workflow, ...]:
    """Return all of them, by name."""
    found = []
    for path in sorted((project_root() / FOLDER).iterdir()):
        text = path.read_text(encoding="utf-8")
        found.append(Workflow(path.name, text, yaml.safe_load(text)))
    return tuple(found)


def steps() -> Iterator[Step]:
    """Yield every step of every workflow."""
    for workflow in workflows():
        for name, job in workflow.jobs.items():
            for number, said in enumerate(job["steps"]):
                yield Step(workflow, name, number, said)


def commands_of(run: str) -> Iterator[tuple[str, str]]:
    """Yield the sessions that lines call with nox, each with its arguments as they are written."""
    for line in run.replace("\\\n", " ").splitlines():
        if match := _SESSION.search(line.strip()):
            yield match["name"], match["arguments"] or ""
