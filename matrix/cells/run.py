"""Run of one cell: every process that it needs, with repeats of what failed, as a capture."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from matrix.cells.crash_counts import count_processes, crash_subjects, further_count
from matrix.cells.env_vars import forward_services
from matrix.cells.identity import (
    IdentityError,
    install_mismatches,
    read_identity,
    target_mismatches,
)
from matrix.cells.interface import Sandbox, SandboxError
from matrix.cells.job import CellJob, Deadline
from matrix.cells.local import LocalSandbox
from matrix.cells.places import new_sandbox, run_elsewhere
from matrix.cells.schedule import (
    ProcessTasks,
    Task,
    bare_process,
    claimed_tasks,
    compared_tasks,
    failed_tasks,
    outside_processes,
    schedule,
    schedule_repeat,
    suspect_tasks,
    switched_off,
    tasks_of,
    undocumented_tasks,
    without_switched_off,
)
from matrix.cells.session import run_process
from matrix.docker.interface import ContainerError
from matrix.errors import EngineUnavailableError
from matrix.model.capture import CellCapture, Cost, Identity, ProcessCapture
from matrix.model.plan import CrashSubject
from matrix.model.reason import Reason
from matrix.model.service import Backend
from matrix.probes.places import find_place
from matrix.system.files import is_disk_full
from matrix.system.network import isolate
from matrix.system.processes import CHILDREN
from matrix.system.timings import RECORDING, SANDBOX, TIMINGS

SOAK_SETTING = "appsec"
_WORKER_BYTES = 4 << 30


def prepare_worker(*, leave_network: bool = True) -> None:
    """Prepare a worker process, before its first cell: leave the network, limit its memory, and
    handle signals.

    Ctrl-C is left to the main process. Containers keep their cells from the network themselves, and
    their engine may be reached by it.
    """
    if leave_network:
        isolate()  # first: it requires a single thread
    if sys.platform == "linux":
        from matrix.system.namespaces import limit  # noqa: PLC0415 - Linux

        # A cell could send its agent as much as takes all memory of the machine.
        limit({"data_bytes": _WORKER_BYTES})
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(*_: object) -> None:
    CHILDREN.kill_all()
    os._exit(128 + signal.SIGTERM)


def run_cell(job: CellJob) -> CellCapture:
    """Run the cell and return everything that was observed; never raises, and never takes much
    longer than `job.limits.cell` seconds, times the repeats in the plan; once more where processes
    are counted because one crashed.
    """
    partial = _PartialCapture()
    began = time.monotonic()
    started = dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
    try:
        if job.cluster is not None:
            capture = run_elsewhere(job, job.cluster)
            return dataclasses.replace(capture, seconds=time.monotonic() - began)
        _run(job, partial)
    except SandboxError as error:
        partial.failed, partial.detail = error.reason, error.detail
    except Exception as error:  # noqa: BLE001 - an error of one cell must not end the run
        full = isinstance(error, OSError) and is_disk_full(error)
        partial.failed = Reason.DISK_FULL if full else Reason.INTERNAL_ERROR
        partial.detail = f"{type(error).__name__}: {error}"
    return CellCapture(
        cell=job.planned.cell.id,
        key=job.key,
        lock=job.lock,
        started=started,
        seconds=time.monotonic() - began,
        costs=_take_costs(time.monotonic() - began),
        **vars(partial),
    )


def _take_costs(seconds: float) -> tuple[Cost, ...]:
    """Return the costs of a cell of so many seconds, with all that this process took for it."""
    TIMINGS.add_rest(RECORDING, seconds)
    return TIMINGS.take()


@dataclasses.dataclass
class _PartialCapture:
    """The capture of a cell so far, which is kept whatever error follows."""

    identity: Identity | None = None
    processes: tuple[ProcessCapture, ...] = ()
    failed: Reason | None = None
    detail: str = ""
    isolation: str = ""
    isolated: bool = True
    not_isolated: tuple[str, ...] = ()
    image: str = ""
    engine: str = ""
    services: tuple[Backend, ...] = ()


def _run(job: CellJob, partial: _PartialCapture) -> None:
    """Run the cell; raises SandboxError if it cannot be run, or if its results do not count."""
    if job.app() is None:
        raise SandboxError(Reason.NO_PROBE, f"there is no sample app for {job.framework}")
    deadline = Deadline(job.limits.cell * job.planned.repeats)
    began = time.monotonic()
    sandbox = _new_sandbox(job, deadline)
    partial.isolation, partial.isolated = sandbox.isolation, sandbox.isolated
    partial.not_isolated = sandbox.not_isolated
    partial.image = sandbox.image
    partial.engine = sandbox.engine
    partial.services = tuple(service.identity.backend for service in job.services)
    with sandbox, forward_services(job, sandbox) as variables:
        TIMINGS.add([Cost(SANDBOX, 1, time.monotonic() - began)])
        try:
            partial.isolation = sandbox.isolation  # with what only an open one knows
            _check_free_space(job, sandbox)
            partial.identity = _read_identity(job, sandbox, deadline)
            _check_identity(job, partial.identity)
            partial.processes = _run_processes(job, sandbox, deadline, variables)
            _check_free_space(job, sandbox)
        finally:
            # It may be the true cause of a crash, or of a failed start.
            sandbox.check()


def _new_sandbox(job: CellJob, deadline: Deadline) -> Sandbox:
    """Return the sandbox of the cell, not yet entered; raise SandboxError without its engine."""
    if job.image is None and job.planned.cell.place:
        remedy = find_place(job.planned.cell.place).remedy
        raise SandboxError(Reason.DEPLOYMENT_NOT_HERE, remedy)
    if job.image is None:
        return LocalSandbox(job)
    if job.connect is None:
        raise SandboxError(Reason.INTERNAL_ERROR, "a cell with an image, but without an engine")
    try:
        engine = job.connect()
    except EngineUnavailableError as error:
        raise SandboxError(Reason.ENGINE_LOST, error.message) from error
    except ContainerError as error:
        raise SandboxError(Reason.ENGINE_LOST, str(error)) from error
    return new_sandbox(job, job.image, engine, deadline)


def _check_free_space(job: CellJob, sandbox: Sandbox) -> None:
    free = sandbox.free_bytes()
    if free < job.limits.free_bytes:
        raise SandboxError(Reason.DISK_FULL, f"only {free} bytes are free for the cell")


def _read_identity(job: CellJob, sandbox: Sandbox, deadline: Deadline) -> Identity:
    try:
        with job.hold_cpu() as waited:
            deadline.extend(waited)
            return read_identity(sandbox, timeout=deadline.remaining(job.limits.identity))
    except (TimeoutError, IdentityError) as error:
        late = isinstance(error, TimeoutError)
        raise SandboxError(
            Reason.TIMED_OUT if late else Reason.WRONG_INSTALL,
            f"cannot identify the interpreter: {error}",
        ) from error


def _check_identity(job: CellJob, identity: Identity) -> None:
    if clauses := target_mismatches(job, identity):
        reason = Reason.WRONG_INSTALL if job.image is None else Reason.WRONG_IMAGE
        raise SandboxError(reason, "; ".join(clauses))
    if clauses := install_mismatches(job, identity):
        raise SandboxError(Reason.WRONG_INSTALL, "; ".join(clauses))


def _run_processes(
    job: CellJob, sandbox: Sandbox, deadline: Deadline, services: Mapping[str, str]
) -> tuple[ProcessCapture, ...]:
    tasks = tasks_of(job.probes, job.framework)
    if job.planned.cell.place:
        place = find_place(job.planned.cell.place)
        tasks = tuple(task for task in tasks if place.asks(task.channel))
    only = job.planned.count
    soak = (ProcessTasks(SOAK_SETTING, (), soak=True),) if job.planned.soak else ()
    with ThreadPoolExecutor(job.parallel, thread_name_prefix="process") as pool:

        def run(processes: Sequence[ProcessTasks]) -> Iterator[ProcessCapture]:
            futures = [
                pool.submit(
                    run_process,
                    job,
                    process,
                    sandbox.new_slot(
                        f"{process.setting}-{process.repeat}", outside=process.outside
                    ),
                    deadline,
                    services,
                )
                for process in processes
            ]
            for future in futures:
                yield future.result()

        if job.bare:
            return tuple(run(bare_process(tasks)))
        if only is not None:
            return _count(only, tasks, run, off_too=False)
        first = without_switched_off(claimed_tasks(tasks))
        bare = bare_process(compared_tasks((*first, *undocumented_tasks(tasks, first))))
        outside = outside_processes(first) if job.planned.cell.place else ()
        captures = tuple(run((*schedule(first), *soak, *bare, *outside)))
        tracer = job.planned.cell.ddtrace
        asides = undocumented_tasks(tasks, failed_tasks(first, captures, tracer))
        captures = (*captures, *run(schedule(asides)))
        decisive = [task for task in (*first, *asides) if task.probe in job.planned.decisive]
        failed = failed_tasks(decisive, captures, tracer)
        suspect = suspect_tasks(failed, captures, tracer)
        apart = any(capture.failed is Reason.CRASHED for capture in captures)
        repeats = [
            process
            for repeat in range(1, max(job.repeats, job.planned.repeats))
            for process in schedule_repeat(
                (*(decisive if repeat < job.planned.repeats else failed), *switched_off(suspect)),
                repeat,
                apart=apart,
            )
            + bare_process(suspect, repeat)
        ]
        if deadline.passed:
            return captures
        captures = (*captures, *run(repeats))
        # What a crash leaves of the cell's time is not enough.
        deadline = Deadline(job.limits.cell)
        for subject in crash_subjects(decisive, captures, soak=job.planned.soak):
            captures += _count(subject, tasks, run)
        return captures


def _count(
    subject: CrashSubject,
    tasks: Sequence[Task],
    run: Callable[[Sequence[ProcessTasks]], Iterable[ProcessCapture]],
    *,
    off_too: bool = True,
) -> tuple[ProcessCapture, ...]:
    """Run the processes of a subject, and more of them where the first do not decide."""
    captures = tuple(run(count_processes(subject, tasks, off_too=off_too)))
    more = further_count(subject, captures)
    return (*captures, *run(count_processes(more, tasks, off_too=off_too))) if more else captures
