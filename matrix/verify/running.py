"""One whole run: the lock, the journal, the workers, the signals."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path

from matrix.errors import ExitCode
from matrix.integrations import LIBRARIES
from matrix.journal import CaptureStore, Journal, Sources, judge_key, one_run
from matrix.model.index import Release
from matrix.model.plan import Plan
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome
from matrix.places import apps_dir, data_dir, fixtures_dir, project_root, results_dir
from matrix.probes import load_probes
from matrix.services.given import Given
from matrix.verify.engine import Engine, World
from matrix.verify.events import Emit
from matrix.verify.holding import Held
from matrix.verify.keeping import Keeping
from matrix.verify.rejudging import MadeBy, rejudge
from matrix.verify.result import RunResult
from matrix.verify.seams import SystemClock
from matrix.verify.signals import stopping
from matrix.verify.worlds import How, world_of

__all__ = [
    "OpenWorld",
    "Options",
    "cell_sources",
    "exit_code",
    "judge_sources",
    "verify",
    "world_on",
]


@dataclasses.dataclass(frozen=True)
class Options:
    """How to run; `jobs` cells at a time. `rejudge` takes captures of `engine`: docker, local, or
    auto, which is the newest of either. `given` are back ends that run already. Of `candidate`, a
    release of the tracer, only its own files are installed. What decides in a cell is run `repeats`
    times at least, also where it shows at once. Results older than `since` are not used again.
    """

    fresh: bool = False
    rejudge: bool = False
    jobs: int = 2
    keep: bool = False
    offline: bool = False
    engine: str = "auto"
    given: Mapping[str, Given] = dataclasses.field(default_factory=dict)
    candidate: Release | None = None
    repeats: int = 1
    since: dt.datetime | None = None


_COUNTS: Mapping[str, MadeBy] = {
    "auto": lambda _capture: True,
    "docker": lambda capture: bool(capture.engine),
    "local": lambda capture: not capture.engine,
}


_LOST = {
    Reason.CLUSTER_LOST: ExitCode.CLUSTER_UNAVAILABLE,
    Reason.ENGINE_LOST: ExitCode.ENGINE_UNAVAILABLE,
}

OpenWorld = Callable[
    [Path, How, Mapping[str, Probe], Keeping], contextlib.AbstractContextManager[World]
]
"""Opens what is outside of a run whose cells may have folders below a path."""


def world_on(runs: Held) -> OpenWorld:
    """Return what opens the world of this machine, or of its container engine."""
    return lambda folder, how, probes, _keeping: world_of(folder, how, probes, runs)


def verify(
    plan: Plan, options: Options, emit: Emit, world: OpenWorld, folder: Path | None = None
) -> RunResult:
    """Run the plan in `world`; raise `UserError`. Results go to `folder`, else to the usual place.

    One run at a time in one results folder. Ctrl-C and SIGTERM end it softly.
    """
    probes = load_probes()
    plan = _repeated(plan, options.repeats)
    folder = folder or results_dir()
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
                made_by=_COUNTS[options.engine],
            )
        keeping = Keeping(
            journal,
            captures,
            Sources.of(cell_sources()),
            judge_key(Sources.of(judge_sources()), probes),
            reuse=not options.fresh,
            since=options.since,
        )
        how = How(
            options.jobs,
            options.keep,
            options.offline,
            options.given,
            options.candidate,
            options.repeats,
        )
        with world(folder, how, probes, keeping) as opened:
            engine = Engine(plan, probes, opened, keeping, emit)
            with stopping(engine.stop):
                return engine.run()


def _repeated(plan: Plan, repeats: int) -> Plan:
    """Return the plan with as many runs of what decides."""
    if repeats == 1:
        return plan
    cells, fallbacks = (
        tuple(dataclasses.replace(each, repeats=repeats) for each in given)
        for given in (plan.cells, plan.fallbacks)
    )
    return dataclasses.replace(plan, cells=cells, fallbacks=fallbacks)


def exit_code(result: RunResult, *, strict: bool) -> ExitCode:
    """Return what the verdicts come to."""
    if result.interrupted:
        return ExitCode.INTERRUPTED
    if result.lost:
        return _LOST[result.lost_to]
    if result.count(Outcome.REFUTED):
        return ExitCode.REFUTED
    if strict and result.count(Outcome.UNVERIFIED):
        return ExitCode.UNVERIFIED
    return ExitCode.OK


def cell_sources() -> list[Path]:
    """Return the files that run in a cell or drive it: a change in them makes new results."""
    package = project_root() / "matrix"
    # A library's module counts for the library's own cells: see `base_key`.
    apps = sorted(path for path in apps_dir().iterdir() if path.is_dir() or path.suffix == ".py")
    return [
        *(path for path in apps if path.name not in {LIBRARIES, "__pycache__"}),
        fixtures_dir() / "cell",
        data_dir() / "settings.toml",
        package / "settings.py",
        package / "agent",
        package / "cells",
        # What holds a cell, and leads out of it.
        package / "containers" / "seam.py",
        package / "containers" / "creating.py",
        package / "network.py",
        package / "services" / "forwarding.py",
    ]


def judge_sources() -> list[Path]:
    """Return the files that judge a capture: a change in them judges again."""
    package = project_root() / "matrix"
    return [package / "judging", package / "observing", package / "evidence"]
