"""All sources of images together: what is ready, and the best of what can be had."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import filelock

from matrix.docker.images.build import KEY, settings
from matrix.docker.images.debian import DebianSource
from matrix.docker.images.host import HostSource
from matrix.docker.images.inspect import ImageFactsCache, examine
from matrix.docker.images.recipes import recipes
from matrix.docker.images.registry import RegistrySource
from matrix.docker.images.source import ImageError, ImageOffer, ImageSource, Tell
from matrix.docker.interface import ContainerEngine, ContainerError, EngineLostError, ImageInfo
from matrix.model.environment import Image
from matrix.model.reason import Reason

__all__ = ["CatalogEntry", "ImageCatalog", "default_sources"]


@dataclasses.dataclass(frozen=True)
class CatalogEntry:
    """An offer, and the image in the engine that fulfils it, None where there is none."""

    offer: ImageOffer
    held: ImageInfo | None


def default_sources(cache_dir: Path) -> tuple[ImageSource, ...]:
    """Return every source there is; what they keep lies in `cache_dir`."""
    return (RegistrySource(), DebianSource(), HostSource(cache_dir))


class ImageCatalog:
    """Images of one engine. Safe for threads; several processes make an image once."""

    def __init__(
        self, engine: ContainerEngine, cache_dir: Path, sources: Sequence[ImageSource] | None = None
    ) -> None:
        """Facts and locks lie in `cache_dir`."""
        self._engine = engine
        self._folder = cache_dir
        chosen = default_sources(cache_dir) if sources is None else sources
        self._sources = {source.name: source for source in chosen}
        self._memory = ImageFactsCache(cache_dir)
        self._offers: tuple[ImageOffer, ...] | None = None

    def offers(self) -> tuple[ImageOffer, ...]:
        """Return what all sources could give, the best first for each CPython and target."""
        if self._offers is None:
            found = [
                self._possible(offer)
                for source in sorted(self._sources.values(), key=lambda source: source.rank)
                for offer in source.offers(self._engine)
            ]
            self._offers = tuple(found)
        return self._offers

    def listed(self) -> tuple[CatalogEntry, ...]:
        """Return the offers with what the engine holds of them. Raises ContainerError."""
        images = self._engine.images()
        return tuple(CatalogEntry(offer, self._held(offer, images)) for offer in self.offers())

    def find(self, python: str, target: str) -> Image | None:
        """Return an image that is ready, None where one must be got (or asked) first.

        Raises ContainerError.
        """
        images = self._engine.images()
        for offer in self._matching(python, target):
            held = self._held(offer, images)
            image = held and self._recalled(held.id, offer)
            if image:
                return image
        return None

    def ensure(self, python: str, target: str, tell: Tell) -> Image:
        """Return an image: what is ready, or the first that a source gives.

        Raises ImageError with what every source met, EngineLostError where the engine went away.
        """
        ready = self.find(python, target)
        if ready is not None:
            return ready
        errors: list[ImageError] = []
        images = self._engine.images()
        # What is held and not asked yet goes before what would have to be got.
        matching = sorted(
            self._matching(python, target), key=lambda offer: self._held(offer, images) is None
        )
        for offer in matching:
            got = self._tried(offer, tell)
            if isinstance(got, Image):
                return got
            errors.append(ImageError(got.reason, f"{offer.source}: {got.detail}"))
            if offer is not matching[-1] and not offer.obstacle:
                tell(f"{offer.name} {python} for {offer.platform}: {got.detail}")
        if not errors:
            raise ImageError(Reason.NO_IMAGE, f"no source has CPython {python} for {target}")
        raise _summed(errors)

    def _tried(self, offer: ImageOffer, tell: Tell) -> Image | ImageError:
        try:
            return self._had(offer, tell)
        except ImageError as error:
            return error

    def _had(self, offer: ImageOffer, tell: Tell) -> Image:
        if offer.obstacle:
            remedy = f" ({offer.remedy})" if offer.remedy else ""
            raise ImageError(Reason.NO_IMAGE, offer.obstacle + remedy)
        try:
            with self._only_one(offer, tell):
                held = self._held(offer, self._engine.images())
                if held is None:
                    source = self._sources[offer.source]
                    image, digest = source.provide(offer, self._engine, tell)
                else:
                    image, digest = held.id, _digest(offer, held)
                known = self._recalled(image, offer)
                if known is not None:
                    return known
                found = examine(offer, image, digest, self._engine)
                self._memory.keep(found)
                return found
        except EngineLostError:
            raise
        except ContainerError as error:
            raise ImageError(Reason.NO_IMAGE, str(error)) from error

    def _recalled(self, image: str, offer: ImageOffer) -> Image | None:
        known = self._memory.recall(image, offer.executable)
        if known is None or (known.platform, known.source) != (offer.platform, offer.source):
            return None
        # What is emulated depends on the engine, and another one may hold the same image.
        here = settings(recipes().target(offer.target), self._engine)
        return dataclasses.replace(known, environment=here)

    @contextlib.contextmanager
    def _only_one(self, offer: ImageOffer, tell: Tell) -> Iterator[None]:
        """Let one thread of one process at a time get an image."""
        folder = self._folder / "images"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(folder / f"{offer.key}.lock", thread_local=False)
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                tell(f"{offer.name} for {offer.platform}: waiting, it is being made already")
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

    def _held(self, offer: ImageOffer, images: Sequence[ImageInfo]) -> ImageInfo | None:
        """Return the image that fulfils an offer: by its label, or by the digest to pull."""
        if not self._runs(offer):
            return None
        if "@" in offer.key:
            return self._engine.image(offer.key)
        for image in images:
            if image.labels.get(KEY) == offer.key and image.platform == offer.platform:
                return image
        return None

    def _possible(self, offer: ImageOffer) -> ImageOffer:
        if self._runs(offer):
            return offer
        return dataclasses.replace(
            offer,
            obstacle=f"this engine does not run {offer.platform}",
            remedy="sudo apt-get install qemu-user-static binfmt-support",
        )

    def _runs(self, offer: ImageOffer) -> bool:
        return offer.platform in self._engine.info.platforms


def _digest(offer: ImageOffer, held: ImageInfo) -> str:
    return offer.key.partition("@")[2] or held.id


def _summed(errors: Sequence[ImageError]) -> ImageError:
    """Return one error that says them all; its reason is the one that is not just absence."""
    reasons = [error.reason for error in errors if error.reason is not Reason.NO_IMAGE]
    detail = "; ".join(error.detail for error in errors)
    return ImageError(reasons[0] if reasons else Reason.NO_IMAGE, detail)
