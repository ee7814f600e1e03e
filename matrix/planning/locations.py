"""Targets that cells are planned for: those of this machine, or of a container engine. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from matrix.docker.interface import EngineInfo
from matrix.errors import EngineUnavailableError, UsageError, did_you_mean
from matrix.interpreters.inspect import host_target
from matrix.interpreters.targets import compatible_targets
from matrix.model.cell import matches
from matrix.model.reason import Reason
from matrix.planning.existence import Unsatisfiable
from matrix.probes.places import Need, places_with

ENGINES = ("auto", "docker", "local")
# Our targets, and the engine's names for them.
_PLATFORMS = {
    "linux_x86_64": "linux/amd64",
    "linux_i686": "linux/386",
    "linux_aarch64": "linux/arm64",
}
# Other platforms that a CPU runs without emulation.
_ALSO_NATIVE = {"linux/amd64": ("linux/386",)}
_EMULATION = (
    "Other CPUs need emulation on the engine's host: install qemu-user-static and binfmt-support."
)


@dataclasses.dataclass(frozen=True)
class Targets:
    """The targets to plan for, and where their cells run.

    `engine` is the container engine by name, "" for this machine. `targets` are in order of
    preference; `emulated` are those of them that are slow. `obstacles` says of other targets why
    they are not planned. `places` are those that cells can run in, by name.
    """

    engine: str
    targets: tuple[str, ...]
    emulated: frozenset[str] = frozenset()
    obstacles: Mapping[str, Unsatisfiable] = dataclasses.field(default_factory=dict)
    places: tuple[str, ...] = ()


def engine_platform(target: str) -> str:
    """Return the engine's name for a target, "" for one that no Linux container can have."""
    return _PLATFORMS.get(target, "")


def short_target(target: str) -> str:
    """Return the short name of a target (`arm64`), the target itself where it has none."""
    return engine_platform(target).rpartition("/")[2] or target


def local_targets(globs: Sequence[str] = (), *, host: str = "") -> Targets:
    """Return this machine's target, or with globs those of its targets that match.

    `host` is the target of the machine, "" for this one. Raises UsageError where the globs match
    other targets only.
    """
    host = host or host_target()
    runnable = (host, *compatible_targets(host))
    matching = _matching(globs, _with_platforms(runnable))
    chosen = tuple(target for target in (runnable if globs else (host,)) if target in matching)
    if not chosen:
        raise UsageError(
            f"this machine is {host} and runs no cell for {' and '.join(matching)}",
            "A container engine does: --engine docker (`plan` needs none for that).",
        )
    return Targets("", chosen)


def engine_targets(info: EngineInfo, globs: Sequence[str] = ()) -> Targets:
    """Return the targets that an engine runs; raise EngineUnavailableError where it runs none."""
    runnable = [
        target
        for platform in info.platforms
        for target, name in _PLATFORMS.items()
        if name == platform
    ]
    matching = _matching(globs, _with_platforms(runnable))
    chosen = tuple(target for target in runnable if target in matching)
    runs = f"runs {', '.join(info.platforms) or 'nothing'} here"
    if not chosen:
        raise EngineUnavailableError(
            f"{info.name} runs nothing for {' and '.join(matching)}: {runs}", _EMULATION
        )
    native = (info.platform, *_ALSO_NATIVE.get(info.platform, ()))
    not_here = Unsatisfiable(Reason.PLATFORM_NOT_HERE, f"{info.name} {runs}")
    obstacles = {target: not_here for target in _PLATFORMS if target not in runnable}
    return Targets(
        info.name,
        chosen,
        frozenset(target for target in chosen if _PLATFORMS[target] not in native),
        {**obstacles, **_not_selected(runnable, chosen)},
        place_names(),
    )


def select_targets(
    targets: Sequence[str], globs: Sequence[str] = (), *, contained: bool = True
) -> Targets:
    """Return those of `targets` that match the globs, wherever they were run.

    `contained` says that cells may run in containers, so that promises about these can be tested.
    """
    matching = _matching(globs, _with_platforms(targets))
    chosen = tuple(target for target in targets if target in matching)
    places = place_names() if contained else ()
    return Targets("", chosen, obstacles=_not_selected(targets, chosen), places=places)


def place_names(*, engine: bool = True, cluster: bool = False) -> tuple[str, ...]:
    """Return the places that cells can run in where there is an engine, and where a cluster."""
    needs = [need for need, met in ((Need.ENGINE, engine), (Need.CLUSTER, cluster)) if met]
    return tuple(place.name for place in places_with(needs))


def all_targets(globs: Sequence[str] = ()) -> Targets:
    """Return this machine's target and all that an engine could run, without connecting to one."""
    return select_targets(_with_platforms([host_target()]), globs)


def all_engine_targets(globs: Sequence[str] = ()) -> Targets:
    """Return all targets that an engine could run, without connecting to one."""
    return dataclasses.replace(select_targets(list(_PLATFORMS), globs), engine="docker")


def _with_platforms(targets: Sequence[str]) -> list[str]:
    """Return the targets and, behind them, the others that an engine could run."""
    return [*targets, *(target for target in _PLATFORMS if target not in targets)]


def _not_selected(runnable: Iterable[str], chosen: Sequence[str]) -> dict[str, Unsatisfiable]:
    obstacle = Unsatisfiable(Reason.NOT_SELECTED, f"--target selects {' and '.join(chosen)}")
    return {target: obstacle for target in runnable if target not in chosen}


def _matching(globs: Sequence[str], targets: Sequence[str]) -> tuple[str, ...]:
    """Return the targets that match the globs; raise UsageError for a glob that matches none."""
    names = {target: (target, engine_platform(target), short_target(target)) for target in targets}
    all_names = [name for group in names.values() for name in group if name]
    for glob in globs:
        if not matches(glob, all_names):
            hint = did_you_mean(glob.replace("*", ""), all_names)
            raise UsageError(
                f"unknown target {glob!r} for --target{hint}", f"Targets: {', '.join(targets)}."
            )
    return tuple(
        target
        for target, group in names.items()
        if not globs or any(matches(glob, group) for glob in globs)
    )
