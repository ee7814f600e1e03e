"""The catalog of all images: those in the engine, and those that a source can provide."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import filelock

from matrix.docker.images.build import KEY_LABEL, emulation_environment
from matrix.docker.images.debian import DebianSource
from matrix.docker.images.host import HostSource
from matrix.docker.images.inspect import ImageFactsCache, inspect_image
from matrix.docker.images.interface import ImageError, ImageOffer, ImageSource, ReportLine
from matrix.docker.images.recipes import read_recipes
from matrix.docker.images.registry import RegistrySource
from matrix.docker.interface import ContainerEngine, ContainerError, EngineLostError, ImageInfo
from matrix.model.environment import Image
from matrix.model.reason import Reason


@dataclasses.dataclass(frozen=True)
class CatalogEntry:
    """An offer, and its image in the engine, None where it is not there."""

    offer: ImageOffer
    image: ImageInfo | None


class ImageCatalog:
    """Images of one engine; safe for several threads and processes, which build an image once."""

    def __init__(
        self, engine: ContainerEngine, cache_dir: Path, sources: Sequence[ImageSource] | None = None
    ) -> None:
        """Use all sources by default. Facts, locks and the sources' caches lie in `cache_dir`."""
        self._engine = engine
        self._folder = cache_dir
        if sources is None:
            sources = (RegistrySource(), DebianSource(), HostSource(cache_dir))
        self._sources = {source.name: source for source in sources}
        self._cache = ImageFactsCache(cache_dir)
        self._offers: tuple[ImageOffer, ...] | None = None

    def offers(self) -> tuple[ImageOffer, ...]:
        """Return the offers of all sources, the best first for each CPython and target."""
        if self._offers is None:
            self._offers = tuple(
                self._check_platform(offer)
                for source in sorted(self._sources.values(), key=lambda source: source.rank)
                for offer in source.offers(self._engine)
            )
        return self._offers

    def entries(self) -> tuple[CatalogEntry, ...]:
        """Return the offers with their images in the engine. Raises ContainerError."""
        images = self._engine.images()
        return tuple(CatalogEntry(offer, self._find(offer, images)) for offer in self.offers())

    def find(self, python: str, target: str) -> Image | None:
        """Return an image that is ready, None where one must be provided (or inspected) first.

        Raises ContainerError.
        """
        images = self._engine.images()
        for offer in self._matching(python, target):
            info = self._find(offer, images)
            image = info and self._cached(info.id, offer)
            if image:
                return image
        return None

    def ensure(self, python: str, target: str, report: ReportLine) -> Image:
        """Return an image: one that is ready, or the first that a source provides.

        Raises ImageError with the failures of all sources, EngineLostError.
        """
        ready = self.find(python, target)
        if ready is not None:
            return ready
        errors: list[ImageError] = []
        images = self._engine.images()
        # Images in the engine that are not inspected yet come before those to pull or build.
        matching = sorted(
            self._matching(python, target), key=lambda offer: self._find(offer, images) is None
        )
        for offer in matching:
            try:
                return self._provide(offer, report)
            except ImageError as error:  # noqa: PERF203 - the next source is tried
                errors.append(ImageError(error.reason, f"{offer.source}: {error.detail}"))
                if offer is not matching[-1] and not offer.obstacle:
                    report(f"{offer.name} {python} for {offer.platform}: {error.detail}")
        if not errors:
            raise ImageError(Reason.NO_IMAGE, f"no source has CPython {python} for {target}")
        # The reason is the first that is more specific than NO_IMAGE.
        reasons = [error.reason for error in errors if error.reason is not Reason.NO_IMAGE]
        details = "; ".join(error.detail for error in errors)
        raise ImageError((*reasons, Reason.NO_IMAGE)[0], details)

    def _provide(self, offer: ImageOffer, report: ReportLine) -> Image:
        if offer.obstacle:
            remedy = f" ({offer.remedy})" if offer.remedy else ""
            raise ImageError(Reason.NO_IMAGE, offer.obstacle + remedy)
        try:
            with self._lock(offer, report):
                info = self._find(offer, self._engine.images())
                if info is None:
                    source = self._sources[offer.source]
                    image_id, digest = source.provide(offer, self._engine, report)
                else:
                    image_id, digest = info.id, offer.key.partition("@")[2] or info.id
                image = self._cached(image_id, offer)
                if image is None:
                    image = inspect_image(offer, image_id, digest, self._engine)
                    self._cache.put(image)
                return image
        except EngineLostError:
            raise
        except ContainerError as error:
            raise ImageError(Reason.NO_IMAGE, str(error)) from error

    def _cached(self, image_id: str, offer: ImageOffer) -> Image | None:
        image = self._cache.get(image_id, offer.executable)
        if image is None or (image.platform, image.source) != (offer.platform, offer.source):
            return None
        # The emulated platforms depend on the engine, and another one may have the same image.
        environment = emulation_environment(read_recipes().target(offer.target), self._engine)
        return dataclasses.replace(image, environment=environment)

    @contextlib.contextmanager
    def _lock(self, offer: ImageOffer, report: ReportLine) -> Iterator[None]:
        """Let one thread of one process at a time provide an image."""
        folder = self._folder / "images"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(folder / f"{offer.key}.lock", thread_local=False)
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                report(f"{offer.name} for {offer.platform}: waiting, another process builds it")
                lock.acquire()
        except OSError as error:
            raise ImageError(Reason.NO_IMAGE, f"cannot write to {folder}: {error}") from error
        try:
            yield
        finally:
            lock.release()

    def _matching(self, python: str, target: str) -> list[ImageOffer]:
        return [
            offer for offer in self.offers() if offer.python == python and offer.target == target
        ]

    def _find(self, offer: ImageOffer, images: Sequence[ImageInfo]) -> ImageInfo | None:
        """Return the engine's image of an offer, by its label or by its digest in a registry."""
        if not self._runs(offer):
            return None
        if "@" in offer.key:
            return self._engine.image(offer.key)
        for image in images:
            if image.labels.get(KEY_LABEL) == offer.key and image.platform == offer.platform:
                return image
        return None

    def _check_platform(self, offer: ImageOffer) -> ImageOffer:
        """Return the offer, with an obstacle where the engine cannot run its platform."""
        if self._runs(offer):
            return offer
        return dataclasses.replace(
            offer,
            obstacle=f"this engine does not run {offer.platform}",
            remedy="sudo apt-get install qemu-user-static binfmt-support",
        )

    def _runs(self, offer: ImageOffer) -> bool:
        return offer.platform in self._engine.info.platforms
