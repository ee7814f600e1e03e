"""The services of a run: each started once, when it is first wanted, and ended with the run."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from matrix.docker.interface import ContainerEngine
from matrix.model.service import Service, ServiceIdentity
from matrix.services.external import ExternalService, reached
from matrix.services.protocol import NoAnswerError
from matrix.services.recipes import (
    AvailableService,
    Build,
    MissingService,
    ServiceRecipe,
    ServiceRecipes,
    load_recipes,
    look,
)
from matrix.services.server import Server
from matrix.services.start import RunningServer, ServiceFailedError, ask, start

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["NoServiceError", "ServiceState", "Services"]

STARTS = 3


class NoServiceError(Exception):
    """A service is not to be had; `remedy` would provide one."""

    def __init__(self, detail: str, remedy: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy


@dataclasses.dataclass(frozen=True)
class ServiceState:
    """How a service stands here: `identity` of what there would be, or why none and the remedy."""

    recipe: ServiceRecipe
    identity: ServiceIdentity | None
    why: str = ""
    remedy: str = ""


class Services:
    """A context manager, for any number of threads. No two runs share anything.

    `given` are servers that run already and are used in any case; `build` installs packages, and
    `engine` runs images.
    """

    def __init__(
        self,
        given: Mapping[str, ExternalService] | None = None,
        *,
        recipes: ServiceRecipes | None = None,
        build: Build | None = None,
        below: Path | None = None,
        engine: ContainerEngine | None = None,
    ) -> None:
        """Make servers' folders in `below`, the system's place for such by default."""
        self.recipes = recipes or load_recipes()
        self._given = given or {}
        self._build = build
        self._below = below
        self._engine = engine
        self._kept = {name: _Kept() for name in self.recipes.by_name}
        self._gates = contextlib.ExitStack()
        self._swept = threading.Lock()
        self._sweep = True
        self._closed = False

    def state(self, name: str) -> ServiceState:
        """Return how the service stands, without starting anything. Raises UsageError."""
        recipe = self.recipes.get(name)
        try:
            return ServiceState(recipe, self._identity(recipe))
        except NoServiceError as error:
            return ServiceState(recipe, None, error.detail, error.remedy)

    def identity(self, name: str) -> ServiceIdentity:
        """Return what would be used, by the version that its program has before it is started.

        Raises NoServiceError, UsageError.
        """
        return self._identity(self.recipes.get(name))

    def ensure(self, name: str) -> Service:
        """Return the service, started if need be. Raises NoServiceError, UsageError."""
        recipe = self.recipes.get(name)
        kept = self._kept[recipe.name]
        with kept.lock:
            if self._closed:
                raise NoServiceError("the run is over", "")
            if kept.service is not None and not self._lost(kept):
                return kept.service
            if kept.failure is not None:
                raise kept.failure
            try:
                kept.service = self._started(recipe, kept)
            except NoServiceError as error:
                kept.failure = error
                raise
            return kept.service

    def lost(self, service: Service) -> str:
        """Return how a service that was had got lost, "" where it is still the same and answers."""
        kept = self._kept[service.identity.name]
        with kept.lock:
            if kept.service is None or kept.service.ways != service.ways:
                return kept.lost or "it was started anew"
            return self._lost(kept)

    def close(self) -> None:
        """End all servers, at the same time; nothing can be started any more."""
        self._closed = True
        for kept in self._kept.values():
            if kept.guarded is not None:  # also one that is still waited for
                kept.guarded.let_go()
        for kept in self._kept.values():
            kept.drop()
        self._gates.close()

    def _identity(self, recipe: ServiceRecipe) -> ServiceIdentity:
        if recipe.name in self._given:
            return self.ensure(recipe.name).identity
        found = self._found(recipe)
        return ServiceIdentity(recipe.name, found.way.kind, found.version, found.way.source)

    def _found(self, recipe: ServiceRecipe) -> AvailableService:
        """Return the best that there is."""
        looked = [look(way, self._build, self._engine) for way in recipe.ways]
        for item in looked:
            if isinstance(item, AvailableService):
                return item
        missing = [item for item in looked if isinstance(item, MissingService)]
        raise NoServiceError(
            f"{recipe.title}: {'; '.join(item.why for item in missing)}", missing[0].remedy
        )

    def _started(self, recipe: ServiceRecipe, kept: _Kept) -> Service:
        if recipe.name in self._given:
            return self._reached(self._given[recipe.name])
        found = self._found(recipe)
        if kept.starts >= STARTS:
            raise NoServiceError(
                f"{recipe.title} was lost {kept.starts} times, at last: {kept.lost}",
                f"See it by itself: nox -s services -- start {recipe.name}",
            )
        kept.drop()
        kept.starts += 1
        self._sweep_once()
        try:
            kept.running = start(recipe, found, self._below, note=self._noted(kept))
        except (ServiceFailedError, OSError, LookupError, RuntimeError) as error:
            raise NoServiceError(
                f"{recipe.title} did not start: {error}",
                f"See it by itself: nox -s services -- start {recipe.name}",
            ) from error
        return kept.running.service

    def _noted(self, kept: _Kept) -> Callable[[Server], None]:
        def note(guarded: Server) -> None:
            kept.guarded = guarded
            if self._closed:
                guarded.let_go()

        return note

    def _reached(self, given: ExternalService) -> Service:
        try:
            service = self._gates.enter_context(reached(given))
            said = ask(given.recipe, service)
        except (OSError, NoAnswerError) as error:
            raise NoServiceError(
                f"{given.recipe.title} at {given}: {error}",
                "Start it, or leave out --service: one is started where it is installed.",
            ) from error
        identity = dataclasses.replace(service.identity, version=said)
        return dataclasses.replace(service, identity=identity)

    def _lost(self, kept: _Kept) -> str:
        assert kept.service is not None  # noqa: S101 - asked of those that were had
        if kept.running is not None:
            kept.lost = kept.running.lost()
            return kept.lost
        try:
            ask(self.recipes.get(kept.service.identity.name), kept.service)
        except (OSError, NoAnswerError) as error:
            return f"it does not answer: {error}"
        return ""

    def _sweep_once(self) -> None:
        if sys.platform == "win32":  # where nothing can be left of servers
            return
        from matrix.services.supervised import sweep  # noqa: PLC0415 - not everywhere

        with self._swept:
            if self._sweep:
                sweep(self._below)
                self._sweep = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Kept:
    """One service of the run; `lost` is how it was lost at last."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.service: Service | None = None
        self.running: RunningServer | None = None
        self.guarded: Server | None = None
        self.failure: NoServiceError | None = None
        self.starts = 0
        self.lost = ""

    def drop(self) -> None:
        """End the server, if there is one."""
        with self.lock:
            running, self.running, self.service = self.running, None, None
            if running is not None:
                running.guarded.close()
