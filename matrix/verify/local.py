"""Environments of this machine, and what its worker processes do."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

from matrix.cells import CellJob, kill_all, run_cell, worker_initializer
from matrix.environments import BuildError, EnvironmentStore
from matrix.interpreters import NoInterpreterError, interpreter_for
from matrix.model.capture import CellCapture
from matrix.model.environment import Environment, Interpreter, Requirements
from matrix.model.index import Release
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.verify.asking import requirements_of
from matrix.verify.packages import lacking_packages, naming_packages
from matrix.verify.seams import Tell

__all__ = ["CellWork", "LocalEnvironments"]


class LocalEnvironments:
    """Environments from the store, for the interpreters of this machine.

    `candidate` is a release of the tracer whose files count, whatever the index has.
    """

    def __init__(
        self,
        store: EnvironmentStore,
        interpreters: Sequence[Interpreter],
        probes: Mapping[str, Probe],
        candidate: Release | None = None,
    ) -> None:
        self._store = store
        self._interpreters = interpreters
        self._probes = probes
        self._candidate = candidate

    def name(self, planned: PlannedCell) -> str:
        """Return a digest of what is asked for: interpreter and requirements, and what is lacking.

        A build that failed for want of a Debian package is tried again once that is here.
        """
        interpreter, requirements = self.asked(planned)
        text = f"{interpreter.version} {interpreter.build} {requirements.text}"
        if lacking := lacking_packages(planned):
            text += f" without {' '.join(lacking)}"
        return hashlib.sha256(text.encode()).hexdigest()

    def peek(self, planned: PlannedCell) -> Environment | None:
        """Return the environment where it is ready."""
        return self._store.peek(*self.asked(planned))

    def ensure(self, planned: PlannedCell, tell: Tell) -> Environment:  # noqa: ARG002 - quick
        """Return the environment, built if need be."""
        with naming_packages(planned):
            return self._store.ensure(*self.asked(planned))

    def asked(self, planned: PlannedCell) -> tuple[Interpreter, Requirements]:
        """Return what the cell asks for; raise BuildError where the interpreter is missing."""
        try:
            interpreter = interpreter_for(
                planned.cell.python, self._interpreters, planned.cell.target
            )
        except NoInterpreterError as error:
            raise BuildError(error.reason, f"{error.detail}. {error.remedy}") from error
        return interpreter, requirements_of(planned, self._probes, self._candidate)


@dataclasses.dataclass(frozen=True)
class CellWork:
    """What a worker process does: run cells. `contained` cells are kept from the network by their
    containers, and their engine may be one that is reached by it.
    """

    contained: bool = False

    def start(self) -> None:
        """Prepare the process, before it has a second thread."""
        worker_initializer(leave_network=not self.contained)

    def run(self, job: CellJob) -> CellCapture:
        """Run one cell; where its folder is kept, the logs of its processes are put beside it."""
        capture = run_cell(job)
        if job.keep and job.scratch is not None:
            with contextlib.suppress(OSError):
                for process in capture.processes:
                    name = f"{process.setting}-{process.purpose}-{process.repeat}.log"
                    (job.scratch / name).write_text(process.log, encoding="utf-8")
        return capture

    def abandon(self) -> None:
        """Kill all that the cells of this process have started."""
        kill_all()
