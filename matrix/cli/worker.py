"""`worker`: let this machine run cells for a cluster."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from matrix.cli.minimum import cell_count
from matrix.cli.options import add_engine_options
from matrix.errors import ClusterUnavailableError, ExitCode
from matrix.probes.registry import load_probes
from matrix.runs.backend import RunBackend, held, pythons_at_hand
from matrix.runs.keys import cell_sources
from matrix.runs.setup import cells_at_a_time, cpus, load_emulation, world_of
from matrix.system.paths import cache_dir
from matrix.system.version import project_version

if TYPE_CHECKING:
    from matrix.distributed.dask.task import Task
    from matrix.distributed.dask.worker import LeaveReason
    from matrix.distributed.dask.worker_run import WorkerRun

__all__ = ["add_parser", "run"]

EXAMPLES = """\
examples:
  dask scheduler
      a scheduler, on a machine that all others reach (it says its address)
  python -m matrix worker tcp://192.0.2.1:8786
      on each machine: run cells for it, in containers where an engine answers
  python -m matrix worker tcp://192.0.2.1:8786 --engine local --jobs 4
      on this machine itself, four at a time
  python -m matrix verify --cluster tcp://192.0.2.1:8786
      on any machine: run what the workers can run

A Dask cluster trusts everybody who reaches it: whoever can connect to the scheduler or to a worker
runs code there. Use it in a private network, or with TLS (an address that begins with tls://, and
certificates in Dask's own configuration: https://distributed.dask.org/en/stable/tls.html).

exit codes:
  0 asked to leave, and left    2 wrong usage    8 no container engine, or it was lost
  12 no scheduler answers, or it did not come back    130 interrupted twice
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "worker",
        help="let this machine run cells for a cluster",
        description="Run cells for a Dask cluster, until Ctrl-C: then those that run may end.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("address", metavar="ADDRESS", help="the scheduler, as tcp://host:8786")
    add_engine_options(parser)
    group = parser.add_argument_group("run")
    group.add_argument(
        "--jobs", type=cell_count, metavar="N", help="cells at a time (default: two for each CPU)"
    )
    group.add_argument(
        "--host",
        default="",
        metavar="ADDRESS",
        help="where to listen for the scheduler and other workers"
        " (default: the address that leads to the scheduler)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run cells until told to stop; return the exit code."""
    from matrix.distributed.dask.client import NO_DISTRIBUTED, checked_address  # noqa: PLC0415

    checked_address(args.address)
    try:
        import distributed  # noqa: F401, PLC0415 - only when asked for
    except ImportError as error:
        raise ClusterUnavailableError(
            f"a worker needs Dask's distributed, which is not installed ({error})", NO_DISTRIBUTED
        ) from error
    from matrix.distributed.dask.worker_run import own_folder  # noqa: PLC0415

    with held(args.engine, args.target) as runs:
        for note in runs.notes:
            print(f"note: {note}", file=sys.stderr)
        with own_folder(cache_dir() / "workers") as folder:
            asyncio.run(_serve(args, runs, folder))
    return ExitCode.OK


async def _serve(args: argparse.Namespace, runs: RunBackend, folder: Path) -> None:
    from matrix.distributed.dask.resources import offered  # noqa: PLC0415
    from matrix.distributed.dask.worker import DaskWorker, LeaveReason, work_for  # noqa: PLC0415
    from matrix.distributed.dask.worker_run import WorkerRuns, serve  # noqa: PLC0415

    jobs = args.jobs or cells_at_a_time()
    where, version = runs.where, project_version()
    pythons = {target: pythons_at_hand(runs, target) for target in where.targets}
    slow = load_emulation().cells_per_cpu * cpus()
    serving = DaskWorker(
        args.address, offered(where, pythons, jobs, slow, version), jobs, args.host
    )
    loop, leaving = asyncio.get_running_loop(), LeaveReason()
    stations = WorkerRuns(
        version,
        lambda asked: _station(asked, runs, jobs, folder),
        lambda why: _called(loop, leaving, why),
    )
    serve(stations)
    targets = ", ".join(where.targets)
    how = f"{jobs} at a time in {where.engine}" if where.engine else f"{jobs} at a time"

    def say(text: str) -> None:
        print(f"{text}: {how}, for {targets}" if "ready" in text else text, flush=True)

    with contextlib.closing(stations), _asked_to_leave(loop, leaving):
        await work_for(serving, stations, leaving, folder, say)


def _station(asked: Task, runs: RunBackend, jobs: int, folder: Path) -> WorkerRun:
    from matrix.distributed.dask.worker_run import WorkerRun  # noqa: PLC0415

    how, probes = dataclasses.replace(asked.how, jobs=jobs, keep=False), load_probes()
    if asked.engine == "docker":
        # What has no image is then told so, as on one machine, whatever this worker was started as.
        runs = dataclasses.replace(runs, falls_back=False)
    return WorkerRun(
        folder,
        lambda own: world_of(own, how, probes, runs),
        cell_sources(),
        probes,
    )


def _called(loop: asyncio.AbstractEventLoop, leaving: LeaveReason, why: str) -> None:
    """Lose the engine, told by the thread of a cell."""
    loop.call_soon_threadsafe(leaving.lose, why)


@contextlib.contextmanager
def _asked_to_leave(loop: asyncio.AbstractEventLoop, leaving: LeaveReason) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the worker softly at first, at once when they come again."""

    def handle(_number: int, _frame: object) -> None:
        if leaving.event.is_set():
            # The processes of cells see their lifeline end, and kill what they have started.
            os._exit(ExitCode.INTERRUPTED)
        os.write(2, b"\nleaving when the cells that run have ended (again: at once)\n")
        leaving.ask()
        loop.call_soon_threadsafe(lambda: None)  # wake it

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
