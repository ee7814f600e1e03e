"""What workers can run and what cells ask for, as Dask's resources: names with counts. Pure.

https://distributed.dask.org/en/stable/resources.html
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from matrix.model.plan import Plan, PlannedCell
from matrix.model.reason import Reason
from matrix.planning.existence import Unsatisfiable
from matrix.planning.locations import Targets, among

__all__ = [
    "WorkerOffer",
    "can_run",
    "contained_cells",
    "held_by",
    "many_workers",
    "needs_of",
    "offered",
    "told",
    "where_of",
]

# Our targets, and how resources name them.
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
    """A worker as the scheduler knows it; `slots` are the cells that it runs at a time."""

    address: str
    slots: int
    resources: Mapping[str, float]

    @property
    def version(self) -> str:
        """Return the version of the project that it has, "" for a worker that is not ours."""
        names = (name for name in self.resources if name.startswith(_VERSION))
        return next((name.removeprefix(_VERSION) for name in names), "")

    @property
    def targets(self) -> tuple[str, ...]:
        """Return the targets that it runs cells for."""
        return tuple(_TARGETS[name] for name in self.resources if name in _TARGETS)

    def is_of(self, version: str) -> bool:
        """Return whether it has this version of the project."""
        return self.version == version[:_DIGITS]


def offered(
    where: Targets, pythons: Mapping[str, Iterable[str]], jobs: int, slow: int, version: str
) -> dict[str, float]:
    """Return the resources of a worker that runs `jobs` cells at a time.

    `pythons` are the CPythons that it has or can get, by target. Of cells for emulated targets it
    runs no more than `slow` at a time.
    """
    found: dict[str, float] = {_version(version): jobs}
    for target in where.targets:
        count = min(jobs, slow) if target in where.emulated else jobs
        found[_NAMES.get(target, target)] = count
        found |= {_python(python, target): count for python in sorted(pythons.get(target, ()))}
    found[_DOCKER if where.engine else _LOCAL] = jobs
    return found


def held_by(offers: Iterable[WorkerOffer], version: str) -> frozenset[frozenset[str]]:
    """Return the names of what workers of this version have: of many workers, few differ."""
    return frozenset(frozenset(each.resources) for each in offers if each.is_of(version))


def needs_of(
    planned: PlannedCell,
    version: str,
    held: Iterable[frozenset[str]],
    *,
    engine: str,
    contained: bool,
) -> dict[str, float]:
    """Return the resources that a cell asks for, where workers have those of `held`.

    `engine` is what the user demands. A CPython that no worker has is not asked for: any of them
    can say that it has none. In the same way a cell of a promise about containers (`contained`) is
    run elsewhere where there are none.
    """
    target = planned.cell.target
    found = [_version(version), _NAMES.get(target, target)]
    if engine in (_DOCKER, _LOCAL):
        found.append(engine)
    wishes = [_DOCKER] if contained and _DOCKER not in found else []
    for wish in (*wishes, _python(planned.cell.python, target)):
        if any({*found, wish} <= names for names in held):
            found.append(wish)
    return dict.fromkeys(found, 1.0)


def can_run(offer: WorkerOffer, needs: Mapping[str, float]) -> bool:
    """Return whether a worker ever fits what a cell asks for."""
    return all(offer.resources.get(name, 0) >= count for name, count in needs.items())


def where_of(offers: Sequence[WorkerOffer], engine: str, globs: Sequence[str] = ()) -> Targets:
    """Return what the workers can run together; raise UsageError for globs that mean none.

    `engine` (`docker`, `local`) leaves those out that run cells otherwise; `auto` leaves none out.
    """
    meant = [each for each in offers if engine == "auto" or engine in each.resources]
    ours = {target for each in meant for target in each.targets}
    targets = [target for target in _NAMES if target in ours]
    contained = any(_DOCKER in each.resources for each in meant)
    where = among(targets, globs, contained=contained)
    names = " and ".join(_NAMES[target] for target in targets)
    nobody = {
        target: Unsatisfiable(
            Reason.PLATFORM_NOT_HERE, f"the cluster's workers run {names or 'none'}"
        )
        for target in _NAMES
        if target not in ours
    }
    return dataclasses.replace(where, obstacles={**nobody, **where.obstacles})


def contained_cells(plan: Plan) -> frozenset[str]:
    """Return the ids of the cells that promises about containers are answered by."""
    return frozenset(cell for part in plan.parts if part.contained for cell in part.cells)


def told(offers: Sequence[WorkerOffer]) -> str:
    """Return in words how many workers there are and what they can run."""
    names = [name for name in _TARGETS if any(name in each.resources for each in offers)]
    runs = ", ".join(
        f"{name} ({_counted(sum(each.resources.get(name, 0) for each in offers))})"
        for name in names
    )
    slots = sum(each.slots for each in offers)
    return f"{slots} at a time on {many_workers(len(offers))} of a cluster: {runs}"


def many_workers(count: int) -> str:
    """Return a number of workers in words."""
    return "1 worker" if count == 1 else f"{count or 'no'} workers"


def _counted(count: float) -> str:
    return f"{count:g}"


def _version(version: str) -> str:
    return f"{_VERSION}{version[:_DIGITS]}"


def _python(python: str, target: str) -> str:
    return f"cp{python} on {_NAMES.get(target, target)}"
