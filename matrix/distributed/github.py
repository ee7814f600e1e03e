"""The job matrix of GitHub Actions: a job for each shard, on the machine of its target.

Which machine runs the cells of a target, from `data/runners.toml`.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from matrix.distributed.manifest import Shard
from matrix.errors import StorageError
from matrix.model.plan import Plan
from matrix.pypi.releases import python_key
from matrix.system.data_files import read_data

__all__ = [
    "OUTPUT",
    "RunnerLabel",
    "here",
    "job_matrix",
    "load_runners",
    "tell_github",
    "without_python",
]

# As many run at a time on GitHub's machines; what is made here is to be the same everywhere.
_CELLS = 8


@dataclasses.dataclass(frozen=True)
class RunnerLabel:
    """`label` names the machine, `engine` (`docker`, `local`) how it runs cells.

    `cells` run on it at a time. `architecture` and `pythons` are for what installs CPythons there:
    empty where the cells bring their own, or the machine has what it has.
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
            label=data["runner"],
            engine=data["engine"],
            architecture=data["architecture"],
            cells=data["cells"],
            pythons=tuple(data.get("pythons", ())),
        )
        for target, data in read_data("runners").items()
    }


def here(target: str) -> RunnerLabel:
    """Return this machine, which is of `target`, in the place of GitHub's."""
    known = load_runners().get(target)
    if known is None:
        return RunnerLabel("self-hosted", "local", "", _CELLS)
    return dataclasses.replace(known, engine="local")


OUTPUT = "GITHUB_OUTPUT"
"""The variable that names the file of a step's outputs.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""


def job_matrix(plan: Plan, shards: tuple[Shard, ...], runners: Mapping[str, RunnerLabel]) -> str:
    """Return the matrix as one line of JSON.

    `pythons` are the CPythons to install for the shard, one in a line; none where the cells are
    run in containers. `architecture` is that of the CPythons.
    """
    of_cell = _pythons(plan)
    jobs = [_job(shard, runners[shard.target], of_cell) for shard in shards]
    return json.dumps({"include": jobs}, ensure_ascii=True, separators=(",", ":"))


def without_python(
    plan: Plan, shards: tuple[Shard, ...], runners: Mapping[str, RunnerLabel]
) -> Iterator[tuple[str, str, int]]:
    """Yield target, CPython and number of cells to run, where a machine cannot be given it."""
    of_cell = _pythons(plan)
    counts: dict[tuple[str, str], int] = {}
    for shard in shards:
        if shard.engine == "local" and (known := runners[shard.target].pythons):
            for cell in shard.cells:
                if of_cell[cell] not in known:
                    key = shard.target, of_cell[cell]
                    counts[key] = counts.get(key, 0) + 1
    for (target, python), count in counts.items():
        yield target, python, count


def tell_github(line: str, environ: Mapping[str, str] = os.environ) -> None:
    """Append the matrix to the outputs of the step that this is, where it is one, as `jobs`."""
    named = environ.get(OUTPUT)
    if not named:
        return
    try:
        with Path(named).open("a", encoding="utf-8") as file:
            file.write(f"jobs={line}\n")
    except OSError as error:
        raise StorageError(
            f"{named} cannot be written: {error.strerror}",
            f"{OUTPUT} names it; outside of GitHub Actions, unset that.",
        ) from error


def _job(shard: Shard, runner: RunnerLabel, of_cell: Mapping[str, str]) -> dict[str, str]:
    pythons: set[str] = set()
    if shard.engine == "local":
        pythons = {of_cell[cell] for cell in (*shard.cells, *shard.reserve)}
        pythons &= set(runner.pythons) or pythons
    return {
        "shard": shard.name,
        "runner": runner.label,
        "target": shard.target,
        "engine": shard.engine,
        "pythons": "\n".join(sorted(pythons, key=python_key)),
        "architecture": runner.architecture,
    }


def _pythons(plan: Plan) -> dict[str, str]:
    return {each.cell.id: each.cell.python for each in (*plan.cells, *plan.fallbacks)}
