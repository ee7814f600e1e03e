"""A cluster, from the command line to the world of a run."""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from matrix.distributed.dask.client import (
    NO_DISTRIBUTED,
    ClusterLostError,
    Connect,
    TaskClient,
    checked_address,
)
from matrix.distributed.dask.resources import (
    WorkerOffer,
    contained_cells,
    many_workers,
    told,
    where_of,
)
from matrix.distributed.dask.runner import ClusterRunner, ClusterTimeouts
from matrix.distributed.dask.task import TaskTemplate
from matrix.errors import ClusterUnavailableError
from matrix.model.plan import Plan
from matrix.model.probe import Probe
from matrix.planning.locations import Targets
from matrix.runs.interfaces import SystemClock
from matrix.runs.result_store import ResultStore
from matrix.runs.run import OpenWorld
from matrix.runs.scheduler import RunContext
from matrix.runs.setup import SetupOptions
from matrix.system.version import project_version

__all__ = ["ClusterSetup", "connect_by_dask", "joined"]

_CONNECT_SECONDS = 10.0
_NAMED = 3
# The queue is the cluster's: all cells that can be run are asked for at once.
_ALL = 1_000_000_000


@dataclasses.dataclass(frozen=True)
class ClusterSetup:
    """A cluster that answers: what can be planned for it, and what the user should know of it."""

    where: Targets
    notes: tuple[str, ...]
    offers: tuple[WorkerOffer, ...]
    grid: TaskClient
    connect: Connect
    engine: str
    version: str
    patience: ClusterTimeouts = dataclasses.field(default_factory=ClusterTimeouts)

    def world_on(self, plan: Plan) -> OpenWorld:
        """Return what opens the world of a run of `plan`."""

        @contextlib.contextmanager
        def opened(
            _folder: Path, how: SetupOptions, probes: Mapping[str, Probe], keeping: ResultStore
        ) -> Iterator[RunContext]:
            terms = TaskTemplate(
                run=uuid.uuid4().hex,
                version=self.version,
                how=how,
                engine=self.engine,
                contained=contained_cells(plan),
                known=lambda planned: keeping.known(planned, probes),
            )
            clock = SystemClock()
            runner = ClusterRunner(self.grid, self.connect, terms, clock, self.patience)
            with contextlib.closing(runner):
                place = told(self.offers)
                yield RunContext(None, None, clock, _ALL, 0, far=runner, place=place)

        return opened


@contextlib.contextmanager
def joined(
    address: str,
    engine: str = "auto",
    globs: Sequence[str] = (),
    connect: Callable[[str], Connect] | None = None,
) -> Iterator[ClusterSetup]:
    """Yield the cluster whose scheduler has this address; raise ClusterUnavailableError.

    `engine` and `globs` say which workers and targets are meant, as they do for one machine.
    """
    by_address = (connect or connect_by_dask)(address)
    version = project_version()
    try:
        grid = by_address()
    except ClusterLostError as error:
        raise ClusterUnavailableError(
            f"no Dask scheduler answers at {address}: {error}",
            "Start one (dask scheduler), and a worker on each machine:"
            f" python -m matrix worker {address}",
        ) from error
    with contextlib.closing(grid):
        try:
            offers = [each for each in grid.offers() if each.slots]
        except ClusterLostError as error:
            raise ClusterUnavailableError(
                f"the scheduler at {address} does not say which workers there are: {error}",
                "Look at its own output.",
            ) from error
        ours = tuple(offer for offer in offers if offer.is_of(version))
        notes = tuple(_others(offers, version))
        if not ours:
            start = f"Start one on each machine: python -m matrix worker {address}"
            raise ClusterUnavailableError(
                "; ".join([f"the cluster at {address} has no worker of this project", *notes]),
                f"{start} (of the same version)" if notes else start,
            )
        where = where_of(ours, engine, globs)
        if not where.targets:
            raise ClusterUnavailableError(
                f"no worker of the cluster runs cells as --engine {engine} wants it",
                "Leave --engine out, or start such a worker.",
            )
        yield ClusterSetup(where, notes, ours, grid, by_address, engine, version)


def connect_by_dask(address: str) -> Connect:
    """Return what connects to a Dask scheduler; raise UsageError for what is no address.

    Raises ClusterUnavailableError where Dask is not installed.
    """
    checked_address(address)
    try:
        from matrix.distributed.dask.client import DaskClient  # noqa: PLC0415 - only when asked for
    except ImportError as error:
        raise ClusterUnavailableError(
            f"a cluster needs Dask's distributed, which is not installed ({error})", NO_DISTRIBUTED
        ) from error
    return lambda: DaskClient(address, _CONNECT_SECONDS)


def _others(offers: Sequence[WorkerOffer], version: str) -> Iterator[str]:
    """Yield what is to be said of workers that cannot be used."""
    skewed = [each for each in offers if each.version and not each.is_of(version)]
    if skewed:
        names = ", ".join(f"{each.address} ({each.version})" for each in skewed[:_NAMED])
        more = f" and {len(skewed) - _NAMED} more" if len(skewed) > _NAMED else ""
        yield (
            f"{many_workers(len(skewed))} not used, as another version of the project runs there:"
            f" {names}{more}; here it is {version[:12]}"
        )
