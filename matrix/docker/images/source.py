"""Where images come from: a small interface, one module for each source."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

from matrix.docker.interface import ContainerEngine
from matrix.model.reason import Reason

__all__ = ["ImageError", "ImageOffer", "ImageSource", "Tell"]

Tell = Callable[[str], None]
"""Takes a progress line."""


class ImageError(Exception):
    """There is no such image to be had, or it is not what it should be."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclasses.dataclass(frozen=True)
class ImageOffer:
    """An image that a source may give: CPython (`3.11`) and target (`linux_i686`).

    `name` is for people. `key` names the content: equal keys are equal images. `obstacle` says why
    it cannot be had here ("" where it can), `remedy` the command that would change that.
    `executable` and `site` are paths inside, as in `Image`.
    """

    source: str
    name: str
    python: str
    target: str
    platform: str
    key: str
    executable: str
    site: str
    obstacle: str = ""
    remedy: str = ""


class ImageSource(Protocol):
    """Offers images, and gets or makes one when asked."""

    name: str
    rank: int

    def offers(self, engine: ContainerEngine) -> tuple[ImageOffer, ...]:
        """Return all that it could give, quickly, without network."""
        ...

    def provide(self, offer: ImageOffer, engine: ContainerEngine, tell: Tell) -> tuple[str, str]:
        """Get the image into the engine; return its id and its digest. Raises ImageError."""
        ...
