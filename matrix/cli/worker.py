"""`worker`: let this machine run cells for a cluster."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from matrix.cli.common import note
from matrix.cli.options import add_engine_options, add_jobs_option
from matrix.distributed.dask.interface import INSTALL_HINT, CellTask, check_address
from matrix.distributed.dask.resources import worker_resources
from matrix.distributed.dask.worker_run import WorkerRun, WorkerRuns, register_runs, worker_folder
from matrix.errors import ClusterUnavailableError, ExitCode
from matrix.probes.registry import load_probes
from matrix.runs.backend import RunBackend, available_pythons, open_backend
from matrix.runs.interface import RunContext
from matrix.runs.keys import cell_sources
from matrix.runs.setup import default_jobs, load_emulation, run_context
from matrix.system.cpu_slots import cpu_count
from matrix.system.paths import cache_dir
from matrix.system.processes import ending_signals
from matrix.system.source_files import project_version

DESCRIPTION = "Run cells for a Dask cluster until Ctrl-C, which lets running cells end."
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
  0 left on request    2 wrong usage    8 no container engine, or it was lost
  12 no scheduler answers, or it did not come back    130 interrupted twice
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "address", metavar="ADDRESS", help="the scheduler's address, such as tcp://host:8786"
    )
    add_engine_options(parser)
    group = parser.add_argument_group("run")
    add_jobs_option(group)
    group.add_argument(
        "--host",
        default="",
        metavar="ADDRESS",
        help="where to listen for the scheduler and other workers"
        " (default: the address that leads to the scheduler)",
    )


def run(args: argparse.Namespace) -> int:
    """Run cells until a request to leave; return the exit code."""
    check_address(args.address)
    try:
        import distributed  # noqa: F401, PLC0415 - optional dependency
    except ImportError as error:
        raise ClusterUnavailableError(
            f"a worker needs Dask's distributed, which is not installed ({error})", INSTALL_HINT
        ) from error

    with open_backend(args.engine, args.target) as backend:
        note(*backend.notes)
        with worker_folder(cache_dir() / "workers") as folder:
            asyncio.run(_serve(args, backend, folder))
    return ExitCode.OK


async def _serve(args: argparse.Namespace, backend: RunBackend, folder: Path) -> None:
    from matrix.distributed.dask.worker import LeaveRequest, WorkerOptions, run_worker  # noqa: PLC0415 - optional dependency

    jobs = args.jobs or default_jobs()
    where, version = backend.where, project_version()
    pythons = {target: available_pythons(backend, target) for target in where.targets}
    slow_jobs = load_emulation().cells_per_cpu * cpu_count()
    resources = worker_resources(where, pythons, jobs, slow_jobs, version)
    options = WorkerOptions(args.address, resources, jobs, args.host)
    loop, leave = asyncio.get_running_loop(), LeaveRequest()

    def lose(detail: str) -> None:  # called in the thread of a cell
        loop.call_soon_threadsafe(leave.lose, detail)

    runs = WorkerRuns(version, lambda task: open_worker_run(task, backend, jobs, folder), lose)
    register_runs(runs)
    engine = f" in {where.engine}" if where.engine else ""
    capacity = f"{jobs} at a time{engine}, for {', '.join(where.targets)}"

    def report(text: str) -> None:
        print(f"{text}: {capacity}" if "ready" in text else text, flush=True)

    def finish() -> None:
        leave.finish()
        loop.call_soon_threadsafe(lambda: None)  # wakes the loop

    with contextlib.closing(runs), leave_on_signal(leave.event.is_set, finish):
        await run_worker(options, runs, leave, folder, report)


def open_worker_run(
    task: CellTask,
    backend: RunBackend,
    jobs: int,
    folder: Path,
    *,
    open_world: Callable[..., contextlib.AbstractContextManager[RunContext]] = run_context,
) -> WorkerRun:
    """Return the run of a task on this machine, which has `jobs` cells at a time."""
    options, probes = dataclasses.replace(task.options, jobs=jobs, keep=False), load_probes()
    if task.engine == "docker":
        # Cells without an image then fail, as on one machine, however this worker was started.
        backend = dataclasses.replace(backend, falls_back=False)
    return WorkerRun(
        folder,
        lambda scratch: open_world(scratch, options, probes, backend),
        cell_sources(),
        probes,
    )


@contextlib.contextmanager
def leave_on_signal(leaving: Callable[[], bool], finish: Callable[[], None]) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP call `finish` at first, and end the process at the second."""

    def handle(_number: int, _frame: object) -> None:
        if leaving():
            # The processes of cells see the end of their pipe, and kill what they have started.
            os._exit(ExitCode.INTERRUPTED)
        with contextlib.suppress(OSError):  # after SIGHUP there is no terminal
            os.write(2, b"\nleaving when the cells that run have ended (again: at once)\n")
        finish()

    previous = {number: signal.signal(number, handle) for number in ending_signals()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
