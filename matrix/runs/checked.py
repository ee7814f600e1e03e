"""Environments compared with what was built before a cell runs in them, and after it has.

Cells of one machine share files by hard links, and may change them where the system does not keep
them from it: then no result rests on a changed file.
"""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import Future

from matrix.environments.errors import BuildError
from matrix.environments.manifest import Manifests
from matrix.model.environment import Environment
from matrix.model.reason import Reason
from matrix.runs.interface import (
    CellRequest,
    CellResult,
    Environments,
    Report,
    Runner,
    capture_not_built,
    capture_not_run,
)


class CheckedRunner:
    """A runner that compares environments with their `manifests`.

    One that has changed before a cell is built again, and named in the notice of the result. A cell
    during which it changed fails.
    """

    def __init__(self, runner: Runner, environments: Environments, manifests: Manifests) -> None:
        self._inner = runner
        self._environments = environments
        self._manifests = manifests

    def submit(self, request: CellRequest, report: Report) -> Future[CellResult]:
        """Start a cell; the future always ends with a capture."""
        future: Future[CellResult] = Future()

        def run() -> None:
            try:
                result = self._run(request, report)
            except BuildError as error:
                planned, key = request.planned, request.key
                result = CellResult(capture_not_built(planned, key, error, "", ""))
            except Exception as error:  # noqa: BLE001 - the future must end in any case
                detail = f"{type(error).__name__}: {error}"
                planned, key = request.planned, request.key
                result = CellResult(capture_not_run(planned, key, Reason.INTERNAL_ERROR, detail))
            future.set_result(result)

        threading.Thread(target=run, name="checked", daemon=True).start()
        return future

    def kill(self) -> None:
        """End all running cells at once."""
        self._inner.kill()

    def _run(self, request: CellRequest, report: Report) -> CellResult:
        environment = self._environments.ensure(request.planned, report)
        request = dataclasses.replace(request, environment=environment)
        result = self._inner.submit(request, report).result()
        notices = [*environment.notices, result.notice]
        change = self._find_change(environment)
        capture = result.capture
        if change and capture is not None and capture.failed is not Reason.INTERRUPTED:
            detail = f"{environment.folder}: {change}"
            failed = Reason.ENVIRONMENT_CHANGED
            capture = dataclasses.replace(capture, failed=failed, detail=detail)
            result = dataclasses.replace(result, capture=capture)
            notices.append(f"the environment of {capture.cell} changed while it ran: {detail}")
        return dataclasses.replace(result, notice="; ".join(filter(None, notices)))

    def _find_change(self, environment: Environment) -> str:
        if environment.folder is None or not environment.built:
            return ""
        try:
            return self._manifests.find_change(environment.folder, built=environment.built)
        except OSError as error:
            return str(error)
