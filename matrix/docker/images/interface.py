"""The interface of a source of images, with its offers and errors; one module for each source."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

from matrix.docker.interface import ContainerEngine
from matrix.model.reason import Reason

ReportLine = Callable[[str], None]
"""Takes a line of progress."""


class ImageError(Exception):
    """The image cannot be provided, or is not what was offered."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclasses.dataclass(frozen=True)
class ImageOffer:
    """An image that a source may provide, with a CPython (`3.11`) for a target (`linux_i686`).

    `name` is for people. `key` identifies the content: equal keys mean equal images. `obstacle` is
    the reason why it cannot be provided here ("" where it can), `remedy` the command to solve that.
    `executable` and `site` are paths in the image, as in `Image`.
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
    """Offers images, and pulls or builds one on request. Lower ranks are preferred."""

    name: str
    rank: int

    def offers(self, engine: ContainerEngine) -> tuple[ImageOffer, ...]:
        """Return all that it may provide, quickly and without network."""

    def provide(
        self, offer: ImageOffer, engine: ContainerEngine, report: ReportLine
    ) -> tuple[str, str]:
        """Get the image into the engine; return its id and its digest. Raises ImageError."""
