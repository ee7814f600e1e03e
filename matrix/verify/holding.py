"""What runs the cells: a container engine that answers, or this machine."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence

from matrix.containers import connect, find_engine, hold_run
from matrix.containers.labels import Run
from matrix.containers.seam import ContainerError, Engine
from matrix.errors import EngineUnavailableError
from matrix.images.catalog import ImageCatalog
from matrix.places import cache_dir
from matrix.planning.where import Where, by_engine, locally

__all__ = ["Held", "held"]


@dataclasses.dataclass(frozen=True)
class Held:
    """`where` is what can be planned; `engine` is None for this machine. `run` owns what is made.

    `notes` are what the user should know of the choice. `falls_back` says that the engine was not
    demanded: cells that it has no image for may run on this machine.
    """

    where: Where
    engine: Engine | None = None
    run: Run | None = None
    notes: tuple[str, ...] = ()
    falls_back: bool = False


@contextlib.contextmanager
def held(choice: str, globs: Sequence[str] = ()) -> Iterator[Held]:
    """Yield what runs cells: `docker`, `local`, or `auto`, which is docker where one answers.

    What dead runs left on the engine is removed first. Raises EngineUnavailableError for `docker`
    where no engine answers or where it can run nothing, and UsageError for targets that are none.
    """
    if choice == "local":
        yield Held(locally(globs))
        return
    with contextlib.ExitStack() as stack:
        run = stack.enter_context(hold_run())
        engine = connect(run) if choice == "docker" else find_engine(run)
        if engine is None:
            yield _here(globs, "no container engine answers")
            return
        stack.callback(engine.close)
        where = by_engine(engine.info, globs)
        if said := _obstacle(engine, where):
            if choice == "docker":
                raise EngineUnavailableError(
                    said, "What images there are, and how to get more: nox -s images"
                )
            yield _here(globs, said)
            return
        yield Held(where, engine, run, tuple(_swept(engine)), falls_back=choice == "auto")


def _here(globs: Sequence[str], why: str) -> Held:
    where = locally(globs)
    return Held(where, notes=(f"{why}: cells run on this machine, for {where.targets[0]} only",))


def _obstacle(engine: Engine, where: Where) -> str:
    """Return why the engine runs no cell at all, "" where it does."""
    try:
        listed = ImageCatalog(engine, cache_dir()).listed()
    except ContainerError as error:
        return f"{where.engine} fails: {error}"
    meant = [item for item in listed if item.offer.target in where.targets]
    if any(item.held or not item.offer.obstacle for item in meant):
        return ""
    why = "; ".join(dict.fromkeys(item.offer.obstacle for item in meant)) or "no source has one"
    return f"{where.engine} has no image to run cells in, and none can be had: {why}"


def _swept(engine: Engine) -> Iterator[str]:
    try:
        count = engine.sweep()
    except ContainerError as error:
        yield f"what earlier runs left could not be removed: {error}"
    else:
        if count:
            yield f"removed what runs that were killed had left in the engine: {count}"
