"""The images that an engine holds, and how they come there."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import IO, Any

import docker.errors

from matrix.docker.client import EngineClient, patience
from matrix.docker.errors import translated
from matrix.docker.interface import ContainerError, EngineLostError, ImageInfo
from matrix.docker.labels import PROJECT, PROJECT_LABELS

__all__ = ["PULLED", "ImageStore"]

PULLED = "compat-matrix/pulled"
"""The name under which an image that we pulled is ours, as it cannot be labelled any more."""

_BLOCK = 1024**2


class ImageStore:
    """An engine's images."""

    def __init__(self, client: EngineClient) -> None:
        self._client = client

    def find(self, reference: str) -> ImageInfo | None:
        """Return an image by id, tag or digest, None where it is not there."""
        with translated(f"looking for the image {reference}"):
            said = self._client.inspected(reference)
        return None if said is None else _info(said)

    def ours(self) -> tuple[ImageInfo, ...]:
        """Return the images with our label, and those that we pulled."""
        label = f"{PROJECT}={PROJECT_LABELS[PROJECT]}"
        with translated("listing images"):
            listed = self._client.images(filters={"label": label})
            listed += self._client.images(name=PULLED)
        ids = sorted({str(image["Id"]) for image in listed})
        return tuple(image for image in map(self.find, ids) if image is not None)

    def load(self, archive: IO[bytes]) -> str:
        """Load an archive of one image, block by block; return the image's id."""
        said = []
        with translated("loading an image"):
            blocks: Any = iter(lambda: archive.read(_BLOCK), b"")
            untyped: Any = self._client
            for line in untyped.load_image(blocks):
                if "error" in line:
                    raise ContainerError(f"loading an image: {line['error']}")
                said += str(line.get("stream", "")).splitlines()
        names = [line.partition(":")[2].strip() for line in said if line.startswith("Loaded image")]
        if len({*names}) != 1:
            raise ContainerError(f"loading an image: the engine says {' '.join(said) or 'nothing'}")
        image = self.find(names[0])
        if image is None:
            raise ContainerError(f"loading an image: {names[0]} is not there afterwards")
        return image.id

    def discard(self, image: str) -> None:
        """Remove an image; no complaint where it is gone or in use."""
        with translated(f"removing the image {image}"):
            try:
                self._client.remove_image(image)
            except docker.errors.APIError as error:
                if error.status_code not in (404, 409):
                    raise

    def pull(self, reference: str, platform: str, seconds: float) -> str:
        """Pull `name@sha256:...`; return the image's id. What we pulled can be told by its tag."""
        image = self.find(reference)
        if image is None:
            self._fetch(reference, platform, seconds)
            image = self.find(reference)
            if image is None:
                raise ContainerError(f"pulling {reference}: it is not there afterwards")
            with translated(f"naming {reference}"):
                self._client.tag(image.id, PULLED, image.id.partition(":")[2][:12])
        if image.platform != platform:
            raise ContainerError(
                f"pulling {reference}: it is for {image.platform}, not for {platform}"
            )
        return image.id

    def _fetch(self, reference: str, platform: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        late = ContainerError(f"pulling {reference}: not done in {seconds:g} s")
        try:
            with translated(f"pulling {reference}"), patience(seconds):
                lines: Any = self._client.pull(
                    reference, platform=platform, stream=True, decode=True
                )
                # Left half-way, the connection ends, and with it the engine's effort.
                with contextlib.closing(lines):
                    for line in lines:
                        if "error" in line:
                            raise ContainerError(f"pulling {reference}: {line['error']}")
                        if time.monotonic() > deadline:
                            raise late
        except EngineLostError:
            # Silence that lasts is the registry's, not the engine's.
            if time.monotonic() < deadline:
                raise
            raise late from None


def _info(said: Mapping[str, Any]) -> ImageInfo:
    parts = [said.get("Os") or "", said.get("Architecture") or "", said.get("Variant") or ""]
    if parts[1] == "arm64":
        parts[2] = ""  # v8 is the only one, and is said or not
    return ImageInfo(
        id=str(said["Id"]),
        tags=tuple(said.get("RepoTags") or ()),
        platform="/".join(part for part in parts if part),
        labels=dict((said.get("Config") or {}).get("Labels") or {}),
        size=int(said.get("Size") or 0),
    )
