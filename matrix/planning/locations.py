"""Where cells are to be run: on this machine or by an engine, and for which targets. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from matrix.docker.interface import EngineInfo
from matrix.errors import EngineUnavailableError, UsageError, did_you_mean
from matrix.interpreters.targets import compatible_targets, host_target
from matrix.model.reason import Reason
from matrix.model.selectors import matches
from matrix.planning.existence import Unsatisfiable

__all__ = [
    "ENGINES",
    "Targets",
    "among",
    "anywhere",
    "by_engine",
    "everywhere",
    "locally",
    "platform_of",
    "short",
]

ENGINES = ("auto", "docker", "local")
# Our targets, and what an engine calls them.
_PLATFORMS = {
    "linux_x86_64": "linux/amd64",
    "linux_i686": "linux/386",
    "linux_aarch64": "linux/arm64",
}
# What a CPU runs without emulation beside its own.
_ALSO = {"linux/amd64": ("linux/386",)}
# What a container of an engine is.
_CONTAINERS = ("docker",)


@dataclasses.dataclass(frozen=True)
class Targets:
    """`engine` is the container engine by name, "" for this machine.

    `targets` are those that are planned, the first first; `emulated` those of them that are slow;
    `obstacles` says of other targets why they are not planned. `deployments` are those that a cell
    there can be in, in the words of claims.
    """

    engine: str
    targets: tuple[str, ...]
    emulated: frozenset[str] = frozenset()
    obstacles: Mapping[str, Unsatisfiable] = dataclasses.field(default_factory=dict)
    deployments: tuple[str, ...] = ()


def platform_of(target: str) -> str:
    """Return what an engine calls a target, "" for one that no Linux container can be."""
    return _PLATFORMS.get(target, "")


def short(target: str) -> str:
    """Return a target in few letters (`arm64`), where it has a short name."""
    return platform_of(target).rpartition("/")[2] or target


def locally(globs: Sequence[str] = ()) -> Targets:
    """Return this machine, and with globs what it runs beside; raise UsageError where they mean
    other targets only.
    """
    here = host_target()
    runs = (here, *compatible_targets(here))
    wanted = _wanted(globs, [*runs, *(each for each in _PLATFORMS if each not in runs)])
    chosen = tuple(each for each in (runs if globs else (here,)) if each in wanted)
    if not chosen:
        raise UsageError(
            f"this machine is {here} and runs no cell for {_listed(wanted)}",
            "A container engine does: --engine docker (`plan` needs none for that).",
        )
    return Targets("", chosen)


def by_engine(info: EngineInfo, globs: Sequence[str] = ()) -> Targets:
    """Return what an engine runs; raise EngineUnavailableError where that is nothing."""
    runs = [target for each in info.platforms for target in _targets(each)]
    wanted = _wanted(globs, [*runs, *(each for each in _PLATFORMS if each not in runs)])
    chosen = tuple(target for target in runs if target in wanted)
    if not chosen:
        raise EngineUnavailableError(
            f"{info.name} runs nothing for {_listed(wanted)}: {_cannot(info)}", _EMULATION
        )
    native = (info.platform, *_ALSO.get(info.platform, ()))
    obstacles = {
        target: Unsatisfiable(Reason.PLATFORM_NOT_HERE, f"{info.name} {_cannot(info)}")
        for target in _PLATFORMS
        if target not in runs
    }
    return Targets(
        info.name,
        chosen,
        frozenset(target for target in chosen if _PLATFORMS[target] not in native),
        {**obstacles, **_unselected(runs, chosen)},
        _CONTAINERS,
    )


def among(targets: Sequence[str], globs: Sequence[str] = (), *, contained: bool = True) -> Targets:
    """Return those of `targets` that the globs mean, wherever they were run.

    `contained` says that containers are among the places: promises about them can be asked.
    """
    wanted = _wanted(globs, [*targets, *(each for each in _PLATFORMS if each not in targets)])
    chosen = tuple(target for target in targets if target in wanted)
    deployments = _CONTAINERS if contained else ()
    return Targets("", chosen, obstacles=_unselected(targets, chosen), deployments=deployments)


def everywhere(globs: Sequence[str] = ()) -> Targets:
    """Return this machine and all that an engine could run, without asking one."""
    here = host_target()
    return among([here, *(each for each in _PLATFORMS if each != here)], globs)


def anywhere(globs: Sequence[str] = ()) -> Targets:
    """Return all that an engine could run, without asking one."""
    wanted = _wanted(globs, list(_PLATFORMS))
    chosen = tuple(target for target in _PLATFORMS if target in wanted)
    obstacles = _unselected(_PLATFORMS, chosen)
    return Targets("docker", chosen, obstacles=obstacles, deployments=_CONTAINERS)


_EMULATION = (
    "Other CPUs need emulation on the engine's host: install qemu-user-static and binfmt-support."
)


def _targets(platform: str) -> list[str]:
    return [target for target, name in _PLATFORMS.items() if name == platform]


def _cannot(info: EngineInfo) -> str:
    return f"runs {', '.join(info.platforms) or 'nothing'} here"


def _unselected(
    runs: Sequence[str] | Mapping[str, str], chosen: Sequence[str]
) -> dict[str, Unsatisfiable]:
    why = Unsatisfiable(Reason.NOT_SELECTED, f"--target asks for {_listed(chosen)}")
    return {target: why for target in runs if target not in chosen}


def _wanted(globs: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Return those of `known` that the globs mean; raise UsageError for one that means none."""
    words = {target: (target, platform_of(target), short(target)) for target in known}
    every = [word for names in words.values() for word in names if word]
    for glob in globs:
        if not matches(glob, every):
            raise UsageError(
                f"unknown target {glob!r} for --target{did_you_mean(glob.replace('*', ''), every)}",
                f"Targets: {', '.join(known)}.",
            )
    return tuple(
        target
        for target, names in words.items()
        if not globs or any(matches(glob, names) for glob in globs)
    )


def _listed(targets: Sequence[str]) -> str:
    return " and ".join(targets)
