"""Join a cluster by its scheduler's address, and set a run up on its workers."""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from matrix.distributed.dask.interface import (
    INSTALL_HINT,
    ClusterLostError,
    Connect,
    TaskClient,
    TaskTemplate,
    check_address,
)
from matrix.distributed.dask.resources import (
    WorkerOffer,
    cluster_targets,
    contained_cells,
    count_workers,
    describe_workers,
)
from matrix.distributed.dask.runner import ClusterRunner, ClusterTimeouts
from matrix.errors import ClusterUnavailableError
from matrix.model.plan import Plan
from matrix.model.probe import Probe
from matrix.planning.locations import Targets
from matrix.runs.interface import RunContext, SystemClock
from matrix.runs.result_store import ResultStore
from matrix.runs.run import OpenRunContext
from matrix.runs.setup import RunOptions
from matrix.system.source_files import project_version

_CONNECT_SECONDS = 10.0
_MAX_NAMES = 3
# The cluster has the queue: the scheduler submits every cell that can run at once.
_UNLIMITED = 1_000_000_000


@dataclasses.dataclass(frozen=True)
class ClusterSetup:
    """A cluster that answers: the targets that can be planned, and notes for the user."""

    where: Targets
    notes: tuple[str, ...]
    offers: tuple[WorkerOffer, ...]
    client: TaskClient
    connect: Connect
    engine: str
    version: str
    timeouts: ClusterTimeouts = dataclasses.field(default_factory=ClusterTimeouts)

    def context_on(self, plan: Plan) -> OpenRunContext:
        """Return a function that opens the context of a run of `plan`."""

        @contextlib.contextmanager
        def open_context(
            _folder: Path, options: RunOptions, probes: Mapping[str, Probe], store: ResultStore
        ) -> Iterator[RunContext]:
            template = TaskTemplate(
                run=uuid.uuid4().hex,
                version=self.version,
                options=options,
                engine=self.engine,
                contained=contained_cells(plan),
                known=lambda planned: store.known(planned, probes),
            )
            clock = SystemClock()
            runner = ClusterRunner(self.client, self.connect, template, clock, self.timeouts)
            with contextlib.closing(runner):
                place = describe_workers(self.offers)
                yield RunContext(None, runner, clock, _UNLIMITED, 0, place=place)

        return open_context


@contextlib.contextmanager
def join_cluster(
    address: str,
    engine: str = "auto",
    globs: Sequence[str] = (),
    *,
    connect: Callable[[str], Connect] | None = None,
    version: str | None = None,
) -> Iterator[ClusterSetup]:
    """Yield the cluster whose scheduler has this address; raise ClusterUnavailableError.

    `engine` and `globs` select workers and targets, as they do for one machine. `version` is the
    project's by default.
    """
    connect_once = (connect or dask_connect)(address)
    version = version or project_version()
    try:
        client = connect_once()
    except ClusterLostError as error:
        raise ClusterUnavailableError(
            f"no Dask scheduler answers at {address}: {error}",
            "Start one (dask scheduler), and a worker on each machine:"
            f" python -m matrix worker {address}",
        ) from error
    with contextlib.closing(client):
        try:
            offers = [offer for offer in client.offers() if offer.slots]
        except ClusterLostError as error:
            raise ClusterUnavailableError(
                f"cannot list the workers of the scheduler at {address}: {error}",
                "See the output of the scheduler.",
            ) from error
        usable = tuple(offer for offer in offers if offer.has_version(version))
        notes = tuple(_unused_workers(offers, version))
        if not usable:
            start = f"Start one on each machine: python -m matrix worker {address}"
            raise ClusterUnavailableError(
                "; ".join([f"the cluster at {address} has no worker of this project", *notes]),
                f"{start} (of the same version)" if notes else start,
            )
        where = cluster_targets(usable, engine, globs)
        if not where.targets:
            raise ClusterUnavailableError(
                f"no worker of the cluster supports --engine {engine}",
                "Leave --engine out, or start such a worker.",
            )
        yield ClusterSetup(where, notes, usable, client, connect_once, engine, version)


def dask_connect(address: str) -> Connect:
    """Return a function that connects to a Dask scheduler; raise UsageError for a bad address.

    Raises ClusterUnavailableError where Dask is not installed.
    """
    check_address(address)
    try:
        from matrix.distributed.dask.client import DaskClient  # noqa: PLC0415 - optional dependency
    except ImportError as error:
        raise ClusterUnavailableError(
            f"a cluster needs Dask's distributed, which is not installed ({error})", INSTALL_HINT
        ) from error
    return lambda: DaskClient(address, _CONNECT_SECONDS)


def _unused_workers(offers: Sequence[WorkerOffer], version: str) -> Iterator[str]:
    """Yield a note on workers of another version of the project, if there are any."""
    others = [offer for offer in offers if offer.version and not offer.has_version(version)]
    if others:
        names = ", ".join(f"{offer.address} ({offer.version})" for offer in others[:_MAX_NAMES])
        more = f" and {len(others) - _MAX_NAMES} more" if len(others) > _MAX_NAMES else ""
        yield (
            f"{count_workers(len(others))} not used (another version of the project):"
            f" {names}{more}; this is {version[:12]}"
        )
