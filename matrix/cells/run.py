"""Run one cell: every process it needs, repeats of what failed, and all of it as a capture."""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from matrix.cells.clock import Deadline
from matrix.cells.identifying import IdentityError, identify, mismatches
from matrix.cells.job import CellJob
from matrix.cells.network import isolation
from matrix.cells.repeating import failed_tasks
from matrix.cells.schedule import ProcessTasks, schedule, schedule_repeat, tasks_of
from matrix.cells.session import run_process
from matrix.model.capture import CellCapture, Identity, ProcessCapture
from matrix.model.reason import Reason

__all__ = ["run_cell"]

FRAMEWORKS = ("django", "flask")
SOAK_SETTING = "appsec"
IDENTITY_SECONDS = 30.0


def run_cell(job: CellJob) -> CellCapture:
    """Run the cell and return all that was seen; never raises, and never takes much longer than
    `job.limits.cell` seconds.
    """
    began = time.monotonic()
    started = dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
    identity: Identity | None = None
    processes: tuple[ProcessCapture, ...] = ()
    failed: Reason | None = None
    detail = ""
    scratch: Path | None = None
    try:
        scratch = Path(tempfile.mkdtemp(prefix="cell-", dir=job.scratch))
        deadline = Deadline(job.limits.cell)
        _check_room(job, scratch)
        identity = _identity(job, scratch, deadline)
        _check(job, identity)
        processes = _processes(job, scratch, deadline)
        _check_room(job, scratch)
    except _CannotRunError as error:
        failed, detail = error.reason, error.detail
    except OSError as error:
        full = error.errno in {28, 122}  # ENOSPC, EDQUOT
        failed = Reason.DISK_FULL if full else Reason.INTERNAL_ERROR
        detail = f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 - one cell's surprise must not end the run
        failed, detail = Reason.INTERNAL_ERROR, f"{type(error).__name__}: {error}"
    finally:
        if scratch is not None and not job.keep:
            shutil.rmtree(scratch, ignore_errors=True)
    return CellCapture(
        cell=job.planned.cell.id,
        key=job.key,
        identity=identity,
        lock=job.lock,
        processes=processes,
        started=started,
        seconds=time.monotonic() - began,
        failed=failed,
        detail=detail,
        isolation=isolation(),
    )


class _CannotRunError(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def _identity(job: CellJob, scratch: Path, deadline: Deadline) -> Identity:
    try:
        return identify(job, scratch, timeout=deadline.left(IDENTITY_SECONDS))
    except IdentityError as error:
        raise _CannotRunError(Reason.WRONG_INSTALL, f"no word from inside: {error}") from error


def _check_room(job: CellJob, scratch: Path) -> None:
    free = shutil.disk_usage(scratch).free
    if free < job.limits.free_bytes:
        raise _CannotRunError(Reason.DISK_FULL, f"only {free} bytes are free for the cell")


def _check(job: CellJob, identity: Identity) -> None:
    if job.framework not in FRAMEWORKS:
        raise _CannotRunError(Reason.NO_PROBE, f"there is no sample app for {job.framework}")
    if wrong := mismatches(job, identity):
        raise _CannotRunError(Reason.WRONG_INSTALL, "; ".join(wrong))


def _processes(job: CellJob, scratch: Path, deadline: Deadline) -> tuple[ProcessCapture, ...]:
    tasks = tasks_of(job.probes, job.framework)
    soak = (ProcessTasks(SOAK_SETTING, (), soak=True),) if job.planned.soak else ()
    with ThreadPoolExecutor(job.parallel, thread_name_prefix="process") as pool:

        def run(processes: Sequence[ProcessTasks]) -> Iterator[ProcessCapture]:
            jobs = [
                pool.submit(run_process, job, item, _folder(scratch, item), deadline)
                for item in processes
            ]
            for future in jobs:
                yield future.result()

        captures = tuple(run((*schedule(tasks), *soak)))
        again = [
            task
            for task in failed_tasks(tasks, captures, job.planned.cell.ddtrace)
            if task.probe in job.planned.decisive
        ]
        apart = any(capture.failed is Reason.CRASHED for capture in captures)
        repeats = [
            item
            for repeat in range(1, job.repeats)
            for item in schedule_repeat(again, repeat, apart=apart)
        ]
        if deadline.passed:
            return captures
        return (*captures, *run(repeats))


def _folder(scratch: Path, tasks: ProcessTasks) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"{tasks.setting}-{tasks.repeat}-", dir=scratch))
