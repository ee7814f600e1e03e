"""Run one cell: every process it needs, repeats of what failed, and all of it as a capture.

Which place a cell has.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from matrix.cells.container import ContainerSandbox
from matrix.cells.identity import IdentityError, identify, not_installed, not_the_target
from matrix.cells.job import CellJob, Deadline
from matrix.cells.local import LocalSandbox
from matrix.cells.sandbox import Sandbox, SandboxError
from matrix.cells.schedule import ProcessTasks, failed_tasks, schedule, schedule_repeat, tasks_of
from matrix.cells.services import services_inside
from matrix.cells.session import run_process
from matrix.docker.interface import ContainerError
from matrix.errors import EngineUnavailableError
from matrix.model.capture import CellCapture, Identity, ProcessCapture
from matrix.model.reason import Reason
from matrix.system.atomic import is_disk_full

__all__ = ["place_of", "run_cell"]


def place_of(job: CellJob, deadline: Deadline) -> Sandbox:
    """Return the place of the cell, not yet entered; raise PlaceError where the engine is gone."""
    if job.image is None:
        return LocalSandbox(job)
    if job.connect is None:
        raise SandboxError(Reason.INTERNAL_ERROR, "a cell with an image, and no engine to ask")
    try:
        engine = job.connect()
    except EngineUnavailableError as error:
        raise SandboxError(Reason.ENGINE_LOST, error.message) from error
    except ContainerError as error:
        raise SandboxError(Reason.ENGINE_LOST, str(error)) from error
    return ContainerSandbox(job, job.image, engine, deadline)


SOAK_SETTING = "appsec"


def run_cell(job: CellJob) -> CellCapture:
    """Run the cell and return all that was seen; never raises, and never takes much longer than
    `job.limits.cell` seconds, times the repeats that the plan asks for.
    """
    seen = _Seen()
    began = time.monotonic()
    started = dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
    try:
        _run(job, seen)
    except SandboxError as error:
        seen.failed, seen.detail = error.reason, error.detail
    except OSError as error:
        seen.failed = Reason.DISK_FULL if is_disk_full(error) else Reason.INTERNAL_ERROR
        seen.detail = f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 - one cell's surprise must not end the run
        seen.failed, seen.detail = Reason.INTERNAL_ERROR, f"{type(error).__name__}: {error}"
    return CellCapture(
        cell=job.planned.cell.id,
        key=job.key,
        lock=job.lock,
        started=started,
        seconds=time.monotonic() - began,
        **vars(seen),
    )


@dataclasses.dataclass
class _Seen:
    """What is known of a cell so far: whatever goes wrong, this much is kept."""

    identity: Identity | None = None
    processes: tuple[ProcessCapture, ...] = ()
    failed: Reason | None = None
    detail: str = ""
    isolation: str = ""
    image: str = ""
    engine: str = ""
    services: tuple[str, ...] = ()


def _run(job: CellJob, seen: _Seen) -> None:
    """Run the cell; raises PlaceError where it cannot be run, or nothing can be told of it."""
    if job.app is None:
        raise SandboxError(Reason.NO_PROBE, f"there is no sample app for {job.framework}")
    deadline = Deadline(job.limits.cell * job.planned.repeats)
    place = place_of(job, deadline)
    seen.isolation, seen.image, seen.engine = place.isolation, place.image, place.engine
    seen.services = tuple(str(service.identity) for service in job.services)
    with place, services_inside(job, place) as variables:
        try:
            _check_room(job, place)
            seen.identity = _identity(job, place, deadline)
            _check(job, seen.identity)
            seen.processes = _processes(job, place, deadline, variables)
            _check_room(job, place)
        finally:
            # What was taken for a crash, or for a refusal to start, may have been this.
            place.check()


def _identity(job: CellJob, place: Sandbox, deadline: Deadline) -> Identity:
    try:
        return identify(place, timeout=deadline.left(job.limits.identity))
    except TimeoutError as error:
        raise SandboxError(Reason.TIMED_OUT, f"no word from inside: {error}") from error
    except IdentityError as error:
        raise SandboxError(Reason.WRONG_INSTALL, f"no word from inside: {error}") from error


def _check_room(job: CellJob, place: Sandbox) -> None:
    free = place.free()
    if free < job.limits.free_bytes:
        raise SandboxError(Reason.DISK_FULL, f"only {free} bytes are free for the cell")


def _check(job: CellJob, identity: Identity) -> None:
    if wrong := not_the_target(job, identity):
        reason = Reason.WRONG_INSTALL if job.image is None else Reason.WRONG_IMAGE
        raise SandboxError(reason, "; ".join(wrong))
    if wrong := not_installed(job, identity):
        raise SandboxError(Reason.WRONG_INSTALL, "; ".join(wrong))


def _processes(
    job: CellJob, place: Sandbox, deadline: Deadline, services: Mapping[str, str]
) -> tuple[ProcessCapture, ...]:
    tasks = tasks_of(job.probes, job.framework)
    soak = (ProcessTasks(SOAK_SETTING, (), soak=True),) if job.planned.soak else ()
    with ThreadPoolExecutor(job.parallel, thread_name_prefix="process") as pool:

        def run(processes: Sequence[ProcessTasks]) -> Iterator[ProcessCapture]:
            jobs = [
                pool.submit(run_process, job, item, place.room(_name(item)), deadline, services)
                for item in processes
            ]
            for future in jobs:
                yield future.result()

        captures = tuple(run((*schedule(tasks), *soak)))
        decisive = [task for task in tasks if task.probe in job.planned.decisive]
        failed = failed_tasks(decisive, captures, job.planned.cell.ddtrace)
        apart = any(capture.failed is Reason.CRASHED for capture in captures)
        repeats = [
            item
            for repeat in range(1, max(job.repeats, job.planned.repeats))
            for item in schedule_repeat(
                decisive if repeat < job.planned.repeats else failed, repeat, apart=apart
            )
        ]
        if deadline.passed:
            return captures
        return (*captures, *run(repeats))


def _name(tasks: ProcessTasks) -> str:
    return f"{tasks.setting}-{tasks.repeat}"
