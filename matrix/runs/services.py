"""Back ends of a run's cells: started before a cell, and checked for a loss after it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

from matrix.docker.interface import ContainerEngine
from matrix.environments.errors import BuildError
from matrix.model.environment import Environment
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.model.service import Service
from matrix.runs.interface import (
    CellRequest,
    CellResult,
    Environments,
    Report,
    Runner,
    capture_not_run,
)
from matrix.services.external import ExternalService
from matrix.services.pool import Services
from matrix.services.recipes import NoServiceError

# A cell that ended for one of these says nothing of its services.
_NOT_BY_SERVICES = frozenset({Reason.ENGINE_LOST, Reason.INTERRUPTED})


def run_services(
    external: Mapping[str, ExternalService], *, offline: bool, engine: ContainerEngine | None = None
) -> Services:
    """Return the services of a run, as a context manager that ends them."""

    def install(requirements: Sequence[str], as_of: dt.date) -> Path:
        # Where no service has to be installed, what builds environments is not imported.
        from matrix.runs.environments import service_interpreter  # noqa: PLC0415 - start-up time

        return service_interpreter(requirements, as_of, offline=offline)

    return Services(external, build=install, engine=engine)


@dataclasses.dataclass(frozen=True)
class CellServices:
    """The services that cells need, found by their probes."""

    services: Services
    probes: Mapping[str, Probe]

    def names(self, planned: PlannedCell) -> tuple[str, ...]:
        """Return the names of the services that the probes of the cell need."""
        probes = [self.probes[name] for name in planned.probes if name in self.probes]
        return tuple(sorted({name for probe in probes for name in probe.services}))

    def identities(self, planned: PlannedCell) -> tuple[str, ...]:
        """Return the names and versions of the services; raise BuildError where there is none."""
        try:
            return tuple(str(self.services.identity(name)) for name in self.names(planned))
        except NoServiceError as error:
            raise BuildError(Reason.NO_BACK_END, _error_text(error)) from error

    def ensure(self, planned: PlannedCell) -> tuple[Service, ...]:
        """Return the services of the cell, started if need be; raise NoServiceError."""
        return tuple(self.services.ensure(name) for name in self.names(planned))


@dataclasses.dataclass(frozen=True)
class ServedEnvironments:
    """Environments with the cell's services as a part: results with different ones have other keys.

    Raises BuildError where a service is missing.
    """

    inner: Environments
    needs: CellServices

    def peek(self, planned: PlannedCell) -> Environment | str:
        """Return the environment where it is ready, or its name; services are not started yet."""
        identities = self.needs.identities(planned)
        found = self.inner.peek(planned)
        if isinstance(found, str):
            return " ".join([found, *identities])
        return dataclasses.replace(found, services=identities)

    def ensure(self, planned: PlannedCell, report: Report) -> Environment:
        """Return the environment, built if need be."""
        identities = self.needs.identities(planned)
        return dataclasses.replace(self.inner.ensure(planned, report), services=identities)


class ServedRunner:
    """A runner that starts the services of a cell first; a cell fails where they were lost.

    Cells that need no service are passed on as they are.
    """

    def __init__(self, runner: Runner, needs: CellServices) -> None:
        self._inner = runner
        self._needs = needs
        self._submitting = threading.Lock()

    def submit(self, request: CellRequest, report: Report) -> Future[CellResult]:
        """Start a cell; the future always ends with a capture."""
        if not self._needs.names(request.planned):
            with self._submitting:
                return self._inner.submit(request, report)
        future: Future[CellResult] = Future()

        def run() -> None:
            try:
                result = self._run(request, report)
            except Exception as error:  # noqa: BLE001 - the future must end in any case
                result = _failure(
                    request, Reason.INTERNAL_ERROR, f"{type(error).__name__}: {error}"
                )
            future.set_result(result)

        threading.Thread(target=run, name="served", daemon=True).start()
        return future

    def kill(self) -> None:
        """End all running cells and services at once."""
        self._inner.kill()
        self._needs.services.close()

    def _run(self, request: CellRequest, report: Report) -> CellResult:
        try:
            services = self._needs.ensure(request.planned)
            with self._submitting:
                submitted = self._inner.submit(request, report)
        except NoServiceError as error:
            return _failure(request, Reason.NO_BACK_END, _error_text(error))
        result = submitted.result()
        if result.capture is None or result.capture.failed in _NOT_BY_SERVICES:
            return result
        for service in services:
            if reason := self._needs.services.loss_reason(service):
                capture = dataclasses.replace(
                    result.capture,
                    failed=Reason.BACK_END_LOST,
                    detail=f"{service.identity.name}: {reason}",
                )
                return dataclasses.replace(result, capture=capture)
        return result


def _failure(request: CellRequest, reason: Reason, detail: str) -> CellResult:
    return CellResult(capture_not_run(request.planned, request.key, reason, detail))


def _error_text(error: NoServiceError) -> str:
    return f"{error.detail}. {error.remedy}".rstrip(". ")
