"""What runs the cells: a container engine that answers, or this machine.

The CPythons that cells can be run on here, without making or getting anything for good.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence

from matrix.docker.connect import connect, find_engine
from matrix.docker.images.catalog import ImageCatalog
from matrix.docker.interface import ContainerEngine, ContainerError
from matrix.docker.labels import RunLabels, lock_run
from matrix.errors import EngineUnavailableError
from matrix.interpreters.discovery import find_interpreters
from matrix.planning.locations import Targets, engine_targets, local_targets
from matrix.system.paths import cache_dir

__all__ = ["RunBackend", "open_backend", "available_pythons"]


@dataclasses.dataclass(frozen=True)
class RunBackend:
    """`where` is what can be planned; `engine` is None for this machine. `run` owns what is made.

    `notes` are what the user should know of the choice. `falls_back` says that the engine was not
    demanded: cells that it has no image for may run on this machine.
    """

    where: Targets
    engine: ContainerEngine | None = None
    run: RunLabels | None = None
    notes: tuple[str, ...] = ()
    falls_back: bool = False


@contextlib.contextmanager
def open_backend(choice: str, globs: Sequence[str] = ()) -> Iterator[RunBackend]:
    """Yield what runs cells: `docker`, `local`, or `auto`, which is docker where one answers.

    What dead runs left on the engine is removed first. Raises EngineUnavailableError for `docker`
    where no engine answers or where it can run nothing, and UsageError for targets that are none.
    """
    if choice == "local":
        yield RunBackend(local_targets(globs))
        return
    with contextlib.ExitStack() as stack:
        run = stack.enter_context(lock_run())
        engine = connect(run) if choice == "docker" else find_engine(run)
        if engine is None:
            yield _here(globs, "no container engine answers")
            return
        stack.callback(engine.close)
        where = engine_targets(engine.info, globs)
        if said := _obstacle(engine, where):
            if choice == "docker":
                raise EngineUnavailableError(
                    said, "What images there are, and how to get more: nox -s images"
                )
            yield _here(globs, said)
            return
        yield RunBackend(where, engine, run, tuple(_swept(engine)), falls_back=choice == "auto")


def _here(globs: Sequence[str], why: str) -> RunBackend:
    where = local_targets(globs)
    return RunBackend(
        where, notes=(f"{why}: cells run on this machine, for {where.targets[0]} only",)
    )


def _obstacle(engine: ContainerEngine, where: Targets) -> str:
    """Return why the engine runs no cell at all, "" where it does."""
    try:
        listed = ImageCatalog(engine, cache_dir()).entries()
    except ContainerError as error:
        return f"{where.engine} fails: {error}"
    meant = [item for item in listed if item.offer.target in where.targets]
    if any(item.image or not item.offer.obstacle for item in meant):
        return ""
    why = "; ".join(dict.fromkeys(item.offer.obstacle for item in meant)) or "no source has one"
    return f"{where.engine} has no image to run cells in, and none can be had: {why}"


def _swept(engine: ContainerEngine) -> Iterator[str]:
    try:
        count = engine.sweep()
    except ContainerError as error:
        yield f"what earlier runs left could not be removed: {error}"
    else:
        if count:
            yield f"removed what runs that were killed had left in the engine: {count}"


def available_pythons(runs: RunBackend, target: str) -> frozenset[str]:
    """Return the CPythons (`3.9`) that there is an interpreter or an image for, or may be."""
    found: set[str] = set()
    if runs.engine is not None:
        with contextlib.suppress(ContainerError):
            found = {
                item.offer.python
                for item in ImageCatalog(runs.engine, cache_dir()).entries()
                if item.offer.target == target and (item.image or not item.offer.obstacle)
            }
    if runs.engine is None or runs.falls_back:
        found |= {each.python for each in find_interpreters() if each.target == target}
    return frozenset(found)
