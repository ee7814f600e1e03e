"""Run one cell: every process it needs, repeats of what failed, and all of it as a capture."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from matrix.cells.clock import Deadline
from matrix.cells.identifying import IdentityError, identify, not_installed, not_the_target
from matrix.cells.job import CellJob
from matrix.cells.place import Place, PlaceError
from matrix.cells.placing import place_of
from matrix.cells.repeating import failed_tasks
from matrix.cells.schedule import ProcessTasks, schedule, schedule_repeat, tasks_of
from matrix.cells.serving import services_inside
from matrix.cells.session import run_process
from matrix.model.capture import CellCapture, Identity, ProcessCapture
from matrix.model.reason import Reason

__all__ = ["run_cell"]

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
    except PlaceError as error:
        seen.failed, seen.detail = error.reason, error.detail
    except OSError as error:
        full = error.errno in {28, 122}  # ENOSPC, EDQUOT
        seen.failed = Reason.DISK_FULL if full else Reason.INTERNAL_ERROR
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
        raise PlaceError(Reason.NO_PROBE, f"there is no sample app for {job.framework}")
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


def _identity(job: CellJob, place: Place, deadline: Deadline) -> Identity:
    try:
        return identify(place, timeout=deadline.left(job.limits.identity))
    except TimeoutError as error:
        raise PlaceError(Reason.TIMED_OUT, f"no word from inside: {error}") from error
    except IdentityError as error:
        raise PlaceError(Reason.WRONG_INSTALL, f"no word from inside: {error}") from error


def _check_room(job: CellJob, place: Place) -> None:
    free = place.free()
    if free < job.limits.free_bytes:
        raise PlaceError(Reason.DISK_FULL, f"only {free} bytes are free for the cell")


def _check(job: CellJob, identity: Identity) -> None:
    if wrong := not_the_target(job, identity):
        reason = Reason.WRONG_INSTALL if job.image is None else Reason.WRONG_IMAGE
        raise PlaceError(reason, "; ".join(wrong))
    if wrong := not_installed(job, identity):
        raise PlaceError(Reason.WRONG_INSTALL, "; ".join(wrong))


def _processes(
    job: CellJob, place: Place, deadline: Deadline, services: Mapping[str, str]
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
