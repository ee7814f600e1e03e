"""One whole run on this machine: the lock, the journal, the workers, the signals."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from matrix.cells import Limits
from matrix.environments import EnvironmentStore
from matrix.errors import ExitCode
from matrix.interpreters import find_interpreters
from matrix.journal import CaptureStore, Journal, Sources, judge_key, one_run
from matrix.model.plan import Plan
from matrix.model.probe import Probe
from matrix.model.verdict import Outcome
from matrix.places import apps_dir, cache_dir, data_dir, fixtures_dir, project_root, results_dir
from matrix.probes import load_probes
from matrix.verify.engine import Engine, World
from matrix.verify.events import Emit
from matrix.verify.keeping import Keeping
from matrix.verify.local import CellWork, LocalEnvironments, job_maker
from matrix.verify.rejudging import rejudge
from matrix.verify.result import RunResult
from matrix.verify.seams import SystemClock
from matrix.verify.signals import stopping
from matrix.verify.workers import Workers

__all__ = ["Options", "cell_sources", "exit_code", "judge_sources", "verify"]

# Beyond a cell's own limit: the worker is then stuck itself.
_GRACE_SECONDS = 60.0
# Making an environment is mostly waiting for the index.
_BUILDERS = 4


@dataclasses.dataclass(frozen=True)
class Options:
    """How to run; `jobs` cells at a time."""

    fresh: bool = False
    rejudge: bool = False
    jobs: int = 2
    keep: bool = False
    offline: bool = False


def verify(plan: Plan, options: Options, emit: Emit) -> RunResult:
    """Run the plan with everything that this machine has; raise `UserError`.

    One run at a time in one results folder. Ctrl-C and SIGTERM end it softly.
    """
    probes = load_probes()
    folder = results_dir()
    captures = CaptureStore(folder / "captures")
    with one_run(folder), contextlib.closing(Journal(folder / "journal.jsonl")) as journal:
        if options.rejudge:
            return rejudge(
                plan,
                probes,
                journal=journal,
                captures=captures,
                clock=SystemClock(),
                emit=emit,
            )
        keeping = Keeping(
            journal,
            captures,
            Sources.of(cell_sources()),
            judge_key(Sources.of(judge_sources()), probes),
            reuse=not options.fresh,
        )
        with _world(folder, options, probes) as world:
            engine = Engine(plan, probes, world, keeping, emit)
            with stopping(engine.stop):
                return engine.run()


def exit_code(result: RunResult, *, strict: bool) -> ExitCode:
    """Return what the verdicts come to."""
    if result.interrupted:
        return ExitCode.INTERRUPTED
    if result.lost:
        return ExitCode.ENGINE_UNAVAILABLE
    if result.count(Outcome.REFUTED):
        return ExitCode.REFUTED
    if strict and result.count(Outcome.UNVERIFIED):
        return ExitCode.UNVERIFIED
    return ExitCode.OK


def cell_sources() -> list[Path]:
    """Return the files that run in a cell or drive it: a change in them makes new results."""
    package = project_root() / "matrix"
    return [
        apps_dir(),
        fixtures_dir() / "cell",
        data_dir() / "settings.toml",
        package / "settings.py",
        package / "agent",
        package / "cells",
    ]


def judge_sources() -> list[Path]:
    """Return the files that judge a capture: a change in them judges again."""
    package = project_root() / "matrix"
    return [package / "judging", package / "observing", package / "evidence"]


@contextlib.contextmanager
def _world(folder: Path, options: Options, probes: Mapping[str, Probe]) -> Iterator[World]:
    environments = LocalEnvironments(
        EnvironmentStore(cache_dir(), offline=options.offline), find_interpreters(), probes
    )
    limits = Limits()
    with _scratch(folder, keep=options.keep) as scratch:
        make_job = job_maker(probes, scratch, keep=options.keep, limits=limits)
        workers = Workers(CellWork(), make_job, options.jobs, limits.cell + _GRACE_SECONDS)
        try:
            yield World(environments, workers, SystemClock(), options.jobs, _BUILDERS)
        finally:
            workers.close()


@contextlib.contextmanager
def _scratch(folder: Path, *, keep: bool) -> Iterator[Path]:
    """Yield the folder for the cells' own; what an earlier run left there goes first."""
    scratch = folder / ("kept" if keep else "scratch")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        yield scratch
    finally:
        if not keep:
            shutil.rmtree(scratch, ignore_errors=True)
