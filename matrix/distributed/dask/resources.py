"""The resources of workers and the needs of cells, as Dask's resources: names with counts. Pure.

https://distributed.dask.org/en/stable/resources.html
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from matrix.model.cell import Cell
from matrix.model.plan import Plan, PlannedCell
from matrix.model.reason import Reason
from matrix.planning.existence import Unsatisfiable
from matrix.planning.locations import Targets, select_targets

# The names of targets in resources.
_NAMES = {
    "linux_x86_64": "linux/amd64",
    "linux_i686": "linux/386",
    "linux_aarch64": "linux/arm64",
    "macosx_x86_64": "macos/x86_64",
    "macosx_arm64": "macos/arm64",
    "win_amd64": "windows/amd64",
    "win32": "windows/x86",
}
_TARGETS = {name: target for target, name in _NAMES.items()}
_DOCKER, _LOCAL = "docker", "local"
_VERSION = "compat-matrix "
_DIGITS = 12


@dataclasses.dataclass(frozen=True)
class WorkerOffer:
    """A worker of the scheduler; `slots` is the number of cells that it runs at a time."""

    address: str
    slots: int
    resources: Mapping[str, float]

    @property
    def version(self) -> str:
        """Return the worker's version of the project, "" for a worker of something else."""
        names = (name for name in self.resources if name.startswith(_VERSION))
        return next((name.removeprefix(_VERSION) for name in names), "")

    @property
    def targets(self) -> tuple[str, ...]:
        """Return the targets that it runs cells for."""
        return tuple(_TARGETS[name] for name in self.resources if name in _TARGETS)

    def has_version(self, version: str) -> bool:
        """Return whether it has this version of the project."""
        return self.version == version[:_DIGITS]


def worker_resources(
    where: Targets, pythons: Mapping[str, Iterable[str]], jobs: int, slow_jobs: int, version: str
) -> dict[str, float]:
    """Return the resources of a worker that runs `jobs` cells at a time.

    `pythons` are the CPythons that it has or can get, by target. At most `slow_jobs` of the cells
    for emulated targets run at a time.
    """
    resources: dict[str, float] = {_version_name(version): jobs}
    for target in where.targets:
        count = min(jobs, slow_jobs) if target in where.emulated else jobs
        resources[_NAMES.get(target, target)] = count
        for python in sorted(pythons.get(target, ())):
            resources[_python_name(python, target)] = count
    resources[_DOCKER if where.engine else _LOCAL] = jobs
    return resources


def resource_sets(offers: Iterable[WorkerOffer], version: str) -> frozenset[frozenset[str]]:
    """Return the distinct sets of resource names among the workers of this version."""
    return frozenset(frozenset(o.resources) for o in offers if o.has_version(version))


def cell_needs(
    planned: PlannedCell,
    version: str,
    available: Iterable[frozenset[str]],
    *,
    engine: str,
    contained: bool,
) -> dict[str, float]:
    """Return the resources that a cell needs, where workers have those of `available`.

    `engine` is the one that the user requires. A CPython that no worker has is not among the needs:
    any worker can report that it is missing. In the same way, a cell of a claim about containers
    (`contained`) runs elsewhere where there are no containers.
    """
    target = planned.cell.target
    needs = [_version_name(version), _NAMES.get(target, target)]
    if engine in (_DOCKER, _LOCAL):
        needs.append(engine)
    wishes = [_DOCKER] if contained and _DOCKER not in needs else []
    for wish in (*wishes, _python_name(planned.cell.python, target)):
        if any({*needs, wish} <= names for names in available):
            needs.append(wish)
    return dict.fromkeys(needs, 1.0)


def can_run(offer: WorkerOffer, needs: Mapping[str, float]) -> bool:
    """Return whether a worker has the resources that a cell needs, when it is free."""
    return all(offer.resources.get(name, 0) >= count for name, count in needs.items())


def cluster_targets(
    offers: Sequence[WorkerOffer], engine: str, globs: Sequence[str] = ()
) -> Targets:
    """Return the targets of all workers together; raise UsageError for globs without a target.

    `engine` (`docker`, `local`) excludes workers of another engine; `auto` excludes none.
    """
    offers = [offer for offer in offers if engine == "auto" or engine in offer.resources]
    offered = {target for offer in offers for target in offer.targets}
    targets = [target for target in _NAMES if target in offered]
    contained = any(_DOCKER in offer.resources for offer in offers)
    where = select_targets(targets, globs, contained=contained)
    names = " and ".join(_NAMES[target] for target in targets)
    obstacle = Unsatisfiable(
        Reason.PLATFORM_NOT_HERE, f"the cluster's workers run {names or 'none'}"
    )
    obstacles = {target: obstacle for target in _NAMES if target not in offered}
    return dataclasses.replace(where, obstacles={**obstacles, **where.obstacles})


def contained_cells(plan: Plan) -> frozenset[Cell]:
    """Return the cells of claims about containers."""
    return frozenset(cell for part in plan.parts if part.contained for cell in part.cells)


def describe_workers(offers: Sequence[WorkerOffer]) -> str:
    """Return a text on the number of workers and what they can run."""
    counts = {name: sum(offer.resources.get(name, 0) for offer in offers) for name in _TARGETS}
    names = [name for name in _TARGETS if any(name in offer.resources for offer in offers)]
    targets = ", ".join(f"{name} ({counts[name]:g})" for name in names)
    slots = sum(offer.slots for offer in offers)
    return f"{slots} at a time on {count_workers(len(offers))} of a cluster: {targets}"


def count_workers(count: int) -> str:
    """Return a number of workers as text (`1 worker`, `no workers`)."""
    return "1 worker" if count == 1 else f"{count or 'no'} workers"


def _version_name(version: str) -> str:
    return f"{_VERSION}{version[:_DIGITS]}"


def _python_name(python: str, target: str) -> str:
    return f"cp{python} on {_NAMES.get(target, target)}"
