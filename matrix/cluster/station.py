"""What a worker does with a cell: all that a run on one machine does, its world behind it."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import tempfile
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path

from matrix.environments import BuildError
from matrix.journal import Sources, base_key, result_key
from matrix.model.environment import Environment
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.verify.engine import World
from matrix.verify.seams import Ran
from matrix.verify.unmade import (
    engine_of,
    failed_words,
    lacking_words,
    said_of,
    unseen,
    words_of,
)

__all__ = ["OpenHere", "Station"]

# Answers that are kept a while: the asker may have lost the scheduler just before they came.
_KEPT = 32

OpenHere = Callable[[Path], contextlib.AbstractContextManager[World]]
"""Opens the world of this machine, whose cells may have their folders below a path."""


class Station:
    """What one worker has open for one run, with a folder of its own in `folder`; to be closed.

    A cell that is asked for while it runs, or just after, is not run again: both get one answer.
    """

    def __init__(
        self, folder: Path, open_world: OpenHere, sources: Sources, probes: Mapping[str, Probe]
    ) -> None:
        self._sources = sources
        self._probes = probes
        self._lock = threading.Lock()
        self._running: dict[PlannedCell, Future[Ran]] = {}
        self._answers: OrderedDict[PlannedCell, Ran] = OrderedDict()
        self._killed = False
        with contextlib.ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            self._world = stack.enter_context(open_world(folder))
            self._open = stack.pop_all()

    @property
    def busy(self) -> bool:
        """Return whether a cell runs."""
        with self._lock:
            return bool(self._running)

    def run(self, planned: PlannedCell, known: frozenset[str]) -> Ran:
        """Run one cell to its end; say only that it is known where its base is one of `known`."""
        mine: Future[Ran] = Future()
        with self._lock:
            if planned in self._answers:
                return self._answers[planned]
            running = self._running.setdefault(planned, mine)
        if running is not mine:
            return running.result()
        try:
            answer = self._run(planned, known)
        except Exception:  # noqa: BLE001 - one cell's surprise is not the run's
            answer = self._none(planned, "", Reason.INTERNAL_ERROR, traceback.format_exc())
        with self._lock:
            del self._running[planned]
            if not self._killed:
                self._answers[planned] = answer
                while len(self._answers) > _KEPT:
                    self._answers.popitem(last=False)
        mine.set_result(answer)
        return answer

    def kill(self) -> None:
        """End all that runs, at once; cells that run end as interrupted."""
        with self._lock:
            self._killed = True
        if self._world.runner is not None:
            self._world.runner.kill()

    def close(self) -> None:
        """Put everything away, when no cell runs any more."""
        self._open.close()

    def _run(self, planned: PlannedCell, known: frozenset[str]) -> Ran:
        environments, runner = self._world.environments, self._world.runner
        assert environments and runner  # noqa: S101, PT018 - this is where cells are run
        started = self._world.clock.now().isoformat(timespec="seconds")
        try:
            environment = environments.peek(planned)
            name = "" if environment else environments.name(planned)
        except BuildError as error:
            return self._unmade(planned, self._base(planned, lacking_words(error.reason)), error)
        if environment is None:
            base = self._base(planned, failed_words(name))
            if base in known:
                return Ran(base, None)
            try:
                environment = environments.ensure(planned, _tell)
            except BuildError as error:
                return self._unmade(planned, base, error, started)
        base = self._base(planned, words_of(environment))
        if base in known:
            return Ran(base, None, environment.instead)
        if self._killed:
            return self._none(planned, base, Reason.INTERRUPTED, "the run was stopped")
        key = result_key(base, planned, self._probes)
        capture = runner.submit(planned, environment, key).result()
        capture = dataclasses.replace(capture, engine=self._engine(environment))
        return Ran(base, capture, environment.instead)

    def _base(self, planned: PlannedCell, environment: str) -> str:
        return base_key(planned, environment, self._sources)

    def _engine(self, environment: Environment | None) -> str:
        return engine_of(environment, self._world.engine)

    def _unmade(self, planned: PlannedCell, base: str, error: BuildError, started: str = "") -> Ran:
        started = started or self._world.clock.now().isoformat(timespec="seconds")
        return self._none(planned, base, error.reason, said_of(error), started)

    def _none(
        self, planned: PlannedCell, base: str, reason: Reason, detail: str, started: str = ""
    ) -> Ran:
        key = result_key(base, planned, self._probes) if base else ""
        capture = unseen(planned, key, reason, detail, started)
        return Ran(base, dataclasses.replace(capture, engine=self._engine(None)))


def _tell(_text: str) -> None:
    """Take progress, which nobody looks at: the user is at another machine."""
