"""Back ends of a run's cells: part of what a cell is, started before it, looked after behind it."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from concurrent.futures import Future

from matrix.environments.errors import BuildError
from matrix.model.capture import CellCapture
from matrix.model.environment import Environment
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.model.service import Service
from matrix.runs.interfaces import Environments, Runner, Tell
from matrix.services.pool import NoServiceError, Services

__all__ = ["CellServices", "ServedEnvironments", "ServedRunner"]

# Ends of a cell that say more than what became of its services meanwhile.
_NOT_THEIRS = frozenset({Reason.ENGINE_LOST, Reason.INTERRUPTED})


@dataclasses.dataclass(frozen=True)
class CellServices:
    """Which services a cell needs, and where they are."""

    services: Services
    probes: Mapping[str, Probe]

    def names(self, planned: PlannedCell) -> tuple[str, ...]:
        """Return the names of what the probes of the cell need."""
        probes = [self.probes[name] for name in planned.probes if name in self.probes]
        return tuple(sorted({name for probe in probes for name in probe.services}))

    def identities(self, planned: PlannedCell) -> tuple[str, ...]:
        """Return what would be used, in words; raise BuildError where there is none."""
        try:
            return tuple(str(self.services.identity(name)) for name in self.names(planned))
        except NoServiceError as error:
            raise BuildError(Reason.NO_BACK_END, _in_words(error)) from error

    def ensure(self, planned: PlannedCell) -> tuple[Service, ...]:
        """Return the services of the cell, started if need be; raise NoServiceError."""
        return tuple(self.services.ensure(name) for name in self.names(planned))


class ServedEnvironments:
    """Environments, of which the cell's services are a part: a result with one is not another's."""

    def __init__(self, environments: Environments, needs: CellServices) -> None:
        self._inner = environments
        self._needs = needs

    def name(self, planned: PlannedCell) -> str:
        """Return a text that stands for what is asked for."""
        return " ".join([self._inner.name(planned), *self._needs.identities(planned)])

    def peek(self, planned: PlannedCell) -> Environment | None:
        """Return the environment where it is ready; services are not started yet."""
        identities = self._needs.identities(planned)
        found = self._inner.peek(planned)
        return dataclasses.replace(found, services=identities) if found else None

    def ensure(self, planned: PlannedCell, tell: Tell) -> Environment:
        """Return the environment, built if need be."""
        identities = self._needs.identities(planned)
        return dataclasses.replace(self._inner.ensure(planned, tell), services=identities)


class ServedRunner:
    """Runs cells when their services answer, and tells nothing of those whose services were lost.

    A cell that needs none is not touched.
    """

    def __init__(self, runner: Runner, needs: CellServices) -> None:
        self._inner = runner
        self._needs = needs
        self._submitting = threading.Lock()

    def submit(
        self, planned: PlannedCell, environment: Environment, key: str
    ) -> Future[CellCapture]:
        """Start a cell; the future always ends with a capture."""
        if not self._needs.names(planned):
            with self._submitting:
                return self._inner.submit(planned, environment, key)
        future: Future[CellCapture] = Future()

        def run() -> None:
            try:
                capture = self._run(planned, environment, key)
            except Exception as error:  # noqa: BLE001 - the future must end in any case
                said = f"{type(error).__name__}: {error}"
                capture = _failed(planned, key, Reason.INTERNAL_ERROR, said)
            future.set_result(capture)

        threading.Thread(target=run, name="served", daemon=True).start()
        return future

    def kill(self) -> None:
        """End all that runs, at once."""
        self._inner.kill()
        self._needs.services.close()

    def _run(self, planned: PlannedCell, environment: Environment, key: str) -> CellCapture:
        try:
            services = self._needs.ensure(planned)
            with self._submitting:
                submitted = self._inner.submit(planned, environment, key)
        except NoServiceError as error:
            return _failed(planned, key, Reason.NO_BACK_END, _in_words(error))
        capture = submitted.result()
        for service in services:
            if capture.failed not in _NOT_THEIRS:
                why = self._needs.services.loss_reason(service)
                if why:
                    said = f"{service.identity.name}: {why}"
                    return dataclasses.replace(capture, failed=Reason.BACK_END_LOST, detail=said)
        return capture


def _in_words(error: NoServiceError) -> str:
    return f"{error.detail}. {error.remedy}".rstrip(". ")


def _failed(planned: PlannedCell, key: str, reason: Reason, detail: str) -> CellCapture:
    return CellCapture(
        cell=planned.cell.id,
        key=key,
        identity=None,
        lock=(),
        processes=(),
        started="",
        seconds=0.0,
        failed=reason,
        detail=detail,
    )
