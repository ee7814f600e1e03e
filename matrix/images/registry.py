"""Official images of a registry, by digest for each platform, pulled when they are asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from matrix.containers.references import VARIABLE, reference
from matrix.containers.seam import ContainerError, Engine, EngineLostError
from matrix.images.digests import Digests, Known, digests_path, read_digests
from matrix.images.recipes import Target, recipes
from matrix.images.source import ImageError, Offer, Tell
from matrix.model.reason import Reason

__all__ = ["VARIABLE", "RegistrySource", "reference"]

_SECONDS = 600.0
# What engines say where a registry is not reached at all: the next image would meet the same.
_UNREACHED = ("no such host", "connection refused", "timeout", "unreachable", "deadline exceeded")


class RegistrySource:
    """The official images, or what a mirror has under their names."""

    name = "registry"
    rank = 10

    def __init__(self, file: Path | None = None, environ: Mapping[str, str] = os.environ) -> None:
        self._file = file or digests_path()
        self._environ = environ
        self._away = ""

    def offers(self, engine: Engine) -> tuple[Offer, ...]:  # noqa: ARG002 - as the seam has it
        """Return an offer for each image that is wanted, on each target."""
        digests = read_digests(self._file)
        known = {(image.python, image.platform): image for image in digests.images}
        return tuple(
            self._offer(python, target, known.get((python, target.platform)), digests)
            for python in digests.wanted.pythons
            for target in recipes().targets
        )

    def provide(self, offer: Offer, engine: Engine, tell: Tell) -> tuple[str, str]:
        """Pull the image. Raises ImageError, EngineLostError.

        A registry that was not reached once is not asked again in this run.
        """
        if self._away:
            raise ImageError(Reason.NO_IMAGE, f"the registry does not answer ({self._away})")
        tell(f"{offer.name} for {offer.platform}: pulling")
        try:
            image = engine.pull(offer.key, offer.platform, _SECONDS)
        except EngineLostError:
            raise
        except ContainerError as error:
            held = engine.image(offer.key)
            wrong = held is not None and held.platform != offer.platform
            reason = Reason.WRONG_IMAGE if wrong else Reason.NO_IMAGE
            self._away = next((each for each in _UNREACHED if each in str(error).lower()), "")
            raise ImageError(reason, str(error)) from error
        return image, offer.key.partition("@")[2]

    def _offer(self, python: str, target: Target, known: Known | None, digests: Digests) -> Offer:
        wanted = digests.wanted
        name = known.name if known else wanted.name.format(python=python)
        repository = name.rpartition(":")[0] or name
        return Offer(
            source=self.name,
            name=name,
            python=python,
            target=target.name,
            platform=target.platform,
            key=f"{reference(repository, self._environ)}@{known.digest}" if known else "",
            executable=wanted.executable,
            site=wanted.site.format(python=python),
            obstacle="" if known else "its digest is not known",
            remedy="" if known else "nox -s images -- refresh",
        )
