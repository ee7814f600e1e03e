"""The job matrix of GitHub Actions: a job for each shard, on the machine of its target.

The machine of each target comes from `data/runners.toml`.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from matrix.distributed.manifest import Shard
from matrix.errors import storage_errors
from matrix.model.plan import Plan
from matrix.pypi.releases import python_key
from matrix.system.data_files import read_data

OUTPUT_VARIABLE = "GITHUB_OUTPUT"
"""The variable that names the file of a step's outputs.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

# The number on GitHub's machines, fixed so that the same plan gives the same shards everywhere.
_CELLS = 8


@dataclasses.dataclass(frozen=True)
class RunnerLabel:
    """A machine of GitHub's: its `label`, and the `engine` (`docker`, `local`) that runs cells.

    `cells` run on it at a time. `architecture` and `pythons` are for the installation of CPythons:
    empty where the cells bring their own, or the machine has a fixed set.
    """

    label: str
    engine: str
    architecture: str
    cells: int
    pythons: tuple[str, ...] = ()


def load_runners() -> Mapping[str, RunnerLabel]:
    """Return the machines by target."""
    return {
        target: RunnerLabel(
            data["runner"],
            data["engine"],
            data["architecture"],
            data["cells"],
            tuple(data.get("pythons", ())),
        )
        for target, data in read_data("runners").items()
    }


def local_runner(target: str) -> RunnerLabel:
    """Return this machine, which has this target, as a runner."""
    runner = load_runners().get(target)
    if runner is None:
        return RunnerLabel("self-hosted", "local", "", _CELLS)
    return dataclasses.replace(runner, engine="local")


def job_matrix(plan: Plan, shards: tuple[Shard, ...], runners: Mapping[str, RunnerLabel]) -> str:
    """Return the matrix as one line of JSON.

    `pythons` are the CPythons to install for the shard, one on a line; none where the cells run in
    containers. `architecture` is that of the CPythons.
    """
    pythons = _pythons_by_cell(plan)
    jobs = [_job(shard, runners[shard.target], pythons) for shard in shards]
    return json.dumps({"include": jobs}, ensure_ascii=True, separators=(",", ":"))


def missing_pythons(
    plan: Plan, shards: tuple[Shard, ...], runners: Mapping[str, RunnerLabel]
) -> Iterator[tuple[str, str, int]]:
    """Yield target, CPython and number of cells where a machine cannot install that CPython."""
    pythons = _pythons_by_cell(plan)
    counts = Counter(
        (shard.target, pythons[cell])
        for shard in shards
        if shard.engine == "local" and (available := runners[shard.target].pythons)
        for cell in shard.cells
        if pythons[cell] not in available
    )
    for (target, python), count in counts.items():
        yield target, python, count


def write_step_output(line: str, environ: Mapping[str, str] = os.environ) -> None:
    """Append the matrix to the outputs of the current step as `jobs`; do nothing outside one."""
    name = environ.get(OUTPUT_VARIABLE)
    if not name:
        return
    hint = f"{OUTPUT_VARIABLE} names it; outside of GitHub Actions, unset that variable."
    errors = storage_errors(f"cannot write {name}", hint, brief=True)
    with errors, Path(name).open("a", encoding="utf-8") as file:
        file.write(f"jobs={line}\n")


def _job(shard: Shard, runner: RunnerLabel, pythons_by_cell: Mapping[str, str]) -> dict[str, str]:
    pythons: set[str] = set()
    if shard.engine == "local":
        pythons = {pythons_by_cell[cell] for cell in (*shard.cells, *shard.reserve)}
        pythons &= set(runner.pythons) or pythons
    return {
        "shard": shard.name,
        "runner": runner.label,
        "target": shard.target,
        "engine": shard.engine,
        "pythons": "\n".join(sorted(pythons, key=python_key)),
        "architecture": runner.architecture,
    }


def _pythons_by_cell(plan: Plan) -> dict[str, str]:
    return {item.cell.id: item.cell.python for item in (*plan.cells, *plan.fallbacks)}
