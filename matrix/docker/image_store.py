"""Images in an engine: listed, loaded, pulled and removed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import IO, Any

from matrix.docker.client import (
    CONFLICT,
    NOT_FOUND,
    EngineClient,
    allow_status,
    silence_limit,
    translate_errors,
)
from matrix.docker.interface import ContainerError, EngineLostError, ImageInfo
from matrix.docker.labels import PROJECT_FILTER

PULLED = "compat-matrix/pulled"
"""Repository of the tags of images that we pulled: those cannot be labelled any more."""

_BLOCK = 1024**2


class ImageStore:
    """The images of the engine behind `client`; all methods raise ContainerError."""

    def __init__(self, client: EngineClient) -> None:
        self.client = client

    def image(self, reference: str) -> ImageInfo | None:
        """Return an image by id, tag or digest, None where the engine does not have it."""
        with translate_errors(f"looking for the image {reference}"):
            attributes = self.client.find_image(reference)
        return None if attributes is None else _image_info(attributes)

    def images(self) -> tuple[ImageInfo, ...]:
        """Return the images with our label, and those that we pulled."""
        with translate_errors("listing images"):
            images = self.client.images(filters={"label": PROJECT_FILTER})
            images += self.client.images(name=PULLED)
        ids = sorted({str(image["Id"]) for image in images})
        return tuple(image for image in map(self.image, ids) if image is not None)

    def load(self, archive: IO[bytes]) -> str:
        """Load an archive of one image, block by block; return the image's id."""
        output = []
        with translate_errors("loading an image"):
            blocks: Any = iter(lambda: archive.read(_BLOCK), b"")
            untyped: Any = self.client
            for line in untyped.load_image(blocks):
                if "error" in line:
                    raise ContainerError(f"loading an image: {line['error']}")
                output += str(line.get("stream", "")).splitlines()
        loaded = [line for line in output if line.startswith("Loaded image")]
        names = {line.partition(":")[2].strip() for line in loaded}
        if len(names) != 1:
            text = " ".join(output) or "nothing"
            raise ContainerError(f"loading an image: unexpected output of the engine: {text}")
        (name,) = names
        image = self.image(name)
        if image is None:
            raise ContainerError(f"loading an image: the engine does not have {name} afterwards")
        return image.id

    def discard(self, image: str) -> None:
        """Remove an image; do nothing where it is missing or in use."""
        with translate_errors(f"removing the image {image}"), allow_status(NOT_FOUND, CONFLICT):
            self.client.remove_image(image)

    def pull(self, reference: str, platform: str, seconds: float) -> str:
        """Pull `name@sha256:...` and tag it as ours, unless it exists already; return its id."""
        image = self.image(reference)
        if image is None:
            self._fetch(reference, platform, seconds)
            image = self.image(reference)
            if image is None:
                raise ContainerError(f"pulling {reference}: the engine does not have it afterwards")
            with translate_errors(f"tagging {reference}"):
                self.client.tag(image.id, PULLED, image.id.partition(":")[2][:12])
        if image.platform != platform:
            raise ContainerError(
                f"pulling {reference}: the image is for {image.platform}, not for {platform}"
            )
        return image.id

    def _fetch(self, reference: str, platform: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        timed_out = ContainerError(f"pulling {reference}: not done in {seconds:g} s")
        try:
            with translate_errors(f"pulling {reference}"), silence_limit(seconds):
                lines: Any = self.client.pull(
                    reference, platform=platform, stream=True, decode=True
                )
                # An error here closes the connection, which makes the engine stop pulling.
                with contextlib.closing(lines):
                    for line in lines:
                        if "error" in line:
                            raise ContainerError(f"pulling {reference}: {line['error']}")
                        if time.monotonic() > deadline:
                            raise timed_out
        except EngineLostError:
            # A silence until the deadline is the registry's, not the engine's.
            if time.monotonic() < deadline:
                raise
            raise timed_out from None


def _image_info(attributes: Mapping[str, Any]) -> ImageInfo:
    parts = [attributes.get(name) or "" for name in ("Os", "Architecture", "Variant")]
    if parts[1] == "arm64":
        parts[2] = ""  # v8 is the only one, and optional
    return ImageInfo(
        id=str(attributes["Id"]),
        tags=tuple(attributes.get("RepoTags") or ()),
        platform="/".join(part for part in parts if part),
        labels=dict((attributes.get("Config") or {}).get("Labels") or {}),
        size=int(attributes.get("Size") or 0),
    )
