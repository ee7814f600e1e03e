"""The services of a run: each is started when it is first needed, and ended with the run."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from matrix.docker.interface import ContainerEngine
from matrix.model.service import Service, ServiceIdentity
from matrix.services.external import ExternalService, connect_external
from matrix.services.protocol import NoAnswerError
from matrix.services.recipes import (
    AvailableService,
    Build,
    NoServiceError,
    ServiceRecipe,
    ServiceRecipes,
    load_recipes,
    resolve_source,
)
from matrix.services.server import Server
from matrix.services.start import RunningServer, ServiceFailedError, identify, start

MAX_STARTS = 3
_ANSWER_SECONDS = 5.0
_FAILURE_SECONDS = 0.5


@dataclasses.dataclass(frozen=True)
class ServiceState:
    """The identity of a service that would be used, or why there is none and the remedy."""

    recipe: ServiceRecipe
    identity: ServiceIdentity | None
    reason: str = ""
    remedy: str = ""


class Services(contextlib.AbstractContextManager["Services"]):
    """A context manager of a run's services, for any number of threads. Runs share none.

    Servers in `external` already run, and are used in any case. `build` installs packages, and
    `engine` runs images. A server that does not answer within `answer_seconds` is lost.
    """

    def __init__(
        self,
        external: Mapping[str, ExternalService] | None = None,
        *,
        recipes: ServiceRecipes | None = None,
        build: Build | None = None,
        below: Path | None = None,
        engine: ContainerEngine | None = None,
    ) -> None:
        """Create servers' folders in `below`, by default in the system's temporary folder."""
        self.recipes = recipes or load_recipes()
        self._external = external or {}
        self._build = build
        self._below = below
        self._engine = engine
        self.answer_seconds = _ANSWER_SECONDS
        self._slots = {name: _ServiceSlot() for name in self.recipes.by_name}
        self._connections = contextlib.ExitStack()
        self._sweep_lock = threading.Lock()
        self._swept = False
        self._closed = False

    def state(self, name: str) -> ServiceState:
        """Return the state of the service, without starting anything. Raises UsageError."""
        recipe = self.recipes.get(name)
        try:
            return ServiceState(recipe, self.identity(name))
        except NoServiceError as error:
            return ServiceState(recipe, None, error.detail, error.remedy)

    def identity(self, name: str) -> ServiceIdentity:
        """Return the identity of what would be used, with the version known before its start.

        Raises NoServiceError, UsageError.
        """
        recipe = self.recipes.get(name)
        if recipe.name in self._external:
            return self.ensure(recipe.name).identity
        available = self._resolve(recipe)
        source = available.source
        return ServiceIdentity(recipe.name, source.kind, available.version, source.source)

    def ensure(self, name: str) -> Service:
        """Return the service, started if need be. Raises NoServiceError, UsageError."""
        recipe = self.recipes.get(name)
        slot = self._slots[recipe.name]
        with slot.lock:
            if self._closed:
                raise NoServiceError("the run is over", "")
            if slot.service is not None and not self._loss_reason(slot.service, slot):
                return slot.service
            if slot.error is not None:
                raise slot.error
            try:
                slot.service = self._provide(recipe, slot)
            except NoServiceError as error:
                slot.error = error
                raise
            return slot.service

    def loss_reason(self, service: Service) -> str:
        """Return how a service that was in use got lost, "" where it still answers."""
        slot = self._slots[service.identity.name]
        with slot.lock:
            if slot.service is None or slot.service.forwards != service.forwards:
                return slot.loss_reason or "it was restarted"
            return self._loss_reason(slot.service, slot)

    def close(self) -> None:
        """End all servers, at the same time; none can be started any more."""
        self._closed = True
        for slot in self._slots.values():
            if slot.server is not None:  # it may be starting still
                slot.server.release()
        for slot in self._slots.values():
            slot.drop()
        self._connections.close()

    def _resolve(self, recipe: ServiceRecipe) -> AvailableService:
        """Return the best source that can be used here."""
        errors: list[NoServiceError] = []
        for source in recipe.sources:
            try:
                return resolve_source(source, self._build, self._engine)
            except NoServiceError as error:  # noqa: PERF203 - the next source is tried
                errors.append(error)
        details = "; ".join(error.detail for error in errors)
        raise NoServiceError(f"{recipe.title}: {details}", errors[0].remedy)

    def _provide(self, recipe: ServiceRecipe, slot: _ServiceSlot) -> Service:
        if recipe.name in self._external:
            return self._connect(self._external[recipe.name])
        available = self._resolve(recipe)
        remedy = f"Start it alone to see why: nox -s services -- start {recipe.name}"
        if slot.starts >= MAX_STARTS:
            raise NoServiceError(
                f"{recipe.title} was lost {slot.starts} times, most recently: {slot.loss_reason}",
                remedy,
            )
        slot.drop()
        slot.starts += 1
        self._sweep_once()

        def on_start(server: Server) -> None:
            slot.server = server
            if self._closed:
                server.release()

        try:
            slot.running = start(recipe, available, self._below, on_start=on_start)
        except (ServiceFailedError, OSError, LookupError, RuntimeError) as error:
            raise NoServiceError(f"{recipe.title} did not start: {error}", remedy) from error
        return slot.running.service

    def _connect(self, external: ExternalService) -> Service:
        try:
            service = self._connections.enter_context(connect_external(external))
            version = identify(external.recipe, service, self.answer_seconds)
        except (OSError, NoAnswerError) as error:
            raise NoServiceError(
                f"{external.recipe.title} at {external}: {error}",
                "Start it, or leave out --service: one is started where it is installed.",
            ) from error
        identity = dataclasses.replace(service.identity, version=version)
        return dataclasses.replace(service, identity=identity)

    def _loss_reason(self, service: Service, slot: _ServiceSlot) -> str:
        """Return why the service in use is lost, "" where it answers; an external has no server."""
        server = slot.running.server if slot.running else None
        reason = server.failure if server else None
        if reason is None:
            try:
                identify(self.recipes.get(service.identity.name), service, self.answer_seconds)
            except (OSError, NoAnswerError) as error:
                # Its connections end a moment before its supervisor reports the reason.
                reason = server.wait_failed(_FAILURE_SECONDS) if server else None
                reason = reason or f"it does not answer: {error}"
        if server is not None:
            slot.loss_reason = reason or ""
        return reason or ""

    def _sweep_once(self) -> None:
        if sys.platform == "win32":  # no servers are started there
            return
        from matrix.services.supervised import sweep  # noqa: PLC0415 - POSIX only

        with self._sweep_lock:
            if not self._swept:
                sweep(self._below)
                self._swept = True

    def __exit__(self, *_: object) -> None:
        self.close()


class _ServiceSlot:
    """One service of the run; `loss_reason` is that of the most recent loss."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.service: Service | None = None
        self.running: RunningServer | None = None
        self.server: Server | None = None
        self.error: NoServiceError | None = None
        self.starts = 0
        self.loss_reason = ""

    def drop(self) -> None:
        """End the server, if there is one."""
        with self.lock:
            running, self.running, self.service = self.running, None, None
            if running is not None:
                running.server.close()
