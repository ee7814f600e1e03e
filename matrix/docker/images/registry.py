"""Official images of a registry, pulled by their digests in `data/digests.toml`."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path

from matrix.docker.images.interface import ImageError, ImageOffer, ReportLine
from matrix.docker.images.recipes import ImageTarget, read_recipes
from matrix.docker.interface import ContainerEngine, ContainerError, EngineLostError
from matrix.docker.platforms import registry_reference
from matrix.model.reason import Reason
from matrix.system.data_files import read_toml, write_toml
from matrix.system.paths import data_dir

DIGEST_PATTERN = re.compile(r"sha256:[0-9a-f]{64}")
_SCHEMA = "digests/1"


@dataclasses.dataclass(frozen=True)
class ImagePattern:
    """The official images of all `pythons`; `name` and `site` contain `{python}` for the minor."""

    name: str
    pythons: tuple[str, ...]
    executable: str
    site: str


@dataclasses.dataclass(frozen=True)
class ImageDigest:
    """A registry's digest of a name and a platform, and the day it was `read`.

    Where it comes from a published list of digests, `read_from` names that file
    (`repository@commit:file`), and `read` is the day when the image's youngest layer was made.
    """

    python: str
    platform: str
    name: str
    digest: str
    read: str
    read_from: str = ""


@dataclasses.dataclass(frozen=True)
class DigestTable:
    """The content of the file."""

    pattern: ImagePattern
    images: tuple[ImageDigest, ...]


def digests_path() -> Path:
    """Return the path of the file in this version of the project."""
    return data_dir() / "digests.toml"


def read_digests(path: Path) -> DigestTable:
    """Return the content of a file; raise ValueError for an invalid digest or schema."""
    data = read_toml(path)
    if data.get("schema") != _SCHEMA:
        raise ValueError(f"{path}: the schema is not {_SCHEMA}")
    pattern = data["wanted"]
    images = tuple(ImageDigest(**entry) for entry in data.get("images", ()))
    for image in images:
        if not DIGEST_PATTERN.fullmatch(image.digest):
            raise ValueError(
                f"{path}: invalid digest {image.digest!r} of {image.name} for {image.platform}"
            )
    return DigestTable(ImagePattern(**{**pattern, "pythons": tuple(pattern["pythons"])}), images)


def write_digests(path: Path, digests: DigestTable) -> None:
    """Replace a file's content atomically, but keep its comment."""
    order = digests.pattern.pythons
    images = sorted(digests.images, key=lambda image: (order.index(image.python), image.platform))
    document = {
        "schema": _SCHEMA,
        "wanted": dataclasses.asdict(digests.pattern),
        "images": [
            {key: value for key, value in dataclasses.asdict(image).items() if value}
            for image in images
        ],
    }
    write_toml(path, document)


_PULL_SECONDS = 600.0
# Parts of engines' errors for an unreachable registry: the next image would fail, too.
_UNREACHABLE = ("no such host", "connection refused", "timeout", "unreachable", "deadline exceeded")


class RegistrySource:
    """The official images, or a mirror's images of their names."""

    name = "registry"
    rank = 10

    def __init__(self, file: Path | None = None, environ: Mapping[str, str] = os.environ) -> None:
        self._file = file or digests_path()
        self._environ = environ
        self._unreachable = ""

    def offers(self, engine: ContainerEngine) -> tuple[ImageOffer, ...]:  # noqa: ARG002 - as in the interface
        """Return an offer for each official image and target."""
        digests = read_digests(self._file)
        images = {(image.python, image.platform): image for image in digests.images}
        return tuple(
            self._offer(python, target, images.get((python, target.platform)), digests)
            for python in digests.pattern.pythons
            for target in read_recipes().targets
        )

    def provide(
        self, offer: ImageOffer, engine: ContainerEngine, report: ReportLine
    ) -> tuple[str, str]:
        """Pull the image. Raises ImageError, EngineLostError.

        A registry that was unreachable once is not tried again in this run.
        """
        if self._unreachable:
            detail = f"the registry does not answer ({self._unreachable})"
            raise ImageError(Reason.NO_IMAGE, detail)
        report(f"{offer.name} for {offer.platform}: pulling")
        try:
            image = engine.pull(offer.key, offer.platform, _PULL_SECONDS)
        except EngineLostError:
            raise
        except ContainerError as error:
            info = engine.image(offer.key)
            wrong = info is not None and info.platform != offer.platform
            reason = Reason.WRONG_IMAGE if wrong else Reason.NO_IMAGE
            message = str(error).lower()
            self._unreachable = next((text for text in _UNREACHABLE if text in message), "")
            raise ImageError(reason, str(error)) from error
        return image, offer.key.partition("@")[2]

    def _offer(
        self, python: str, target: ImageTarget, image: ImageDigest | None, digests: DigestTable
    ) -> ImageOffer:
        pattern = digests.pattern
        name = image.name if image else pattern.name.format(python=python)
        repository = name.rpartition(":")[0] or name
        reference = registry_reference(repository, self._environ)
        return ImageOffer(
            source=self.name,
            name=name,
            python=python,
            target=target.name,
            platform=target.platform,
            key=f"{reference}@{image.digest}" if image else "",
            executable=pattern.executable,
            site=pattern.site.format(python=python),
            obstacle="" if image else "unknown digest",
            remedy="" if image else "nox -s images -- refresh",
        )
