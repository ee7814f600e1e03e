"""The official images that we know by digest: `data/digests.toml`, read and written."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from matrix.system.data_files import read_toml, write_toml
from matrix.system.paths import data_dir

__all__ = [
    "DIGEST_PATTERN",
    "DigestTable",
    "ImageDigest",
    "ImagePattern",
    "digests_path",
    "read_digests",
    "write_digests",
]

DIGEST_PATTERN = re.compile(r"sha256:[0-9a-f]{64}")
_SCHEMA = "digests/1"


@dataclasses.dataclass(frozen=True)
class ImagePattern:
    """The images that there should be; `{python}` stands in `name` and `site` for the minor."""

    name: str
    pythons: tuple[str, ...]
    executable: str
    site: str


@dataclasses.dataclass(frozen=True)
class ImageDigest:
    """A digest that a registry told for a name and a platform; `read` is the day it did.

    Where it was read in a record of such answers, `read_from` names it (`repository@commit:file`),
    and `read` is the day that the image's youngest layer was made.
    """

    python: str
    platform: str
    name: str
    digest: str
    read: str
    read_from: str = ""


@dataclasses.dataclass(frozen=True)
class DigestTable:
    """All of the file."""

    wanted: ImagePattern
    images: tuple[ImageDigest, ...]


def digests_path() -> Path:
    """Return the file of this version of the project."""
    return data_dir() / "digests.toml"


def read_digests(path: Path) -> DigestTable:
    """Return what stands there; raise ValueError for what is no digest."""
    data = read_toml(path)
    if data.get("schema") != _SCHEMA:
        raise ValueError(f"{path} is not of the schema {_SCHEMA}")
    wanted = data["wanted"]
    images = tuple(ImageDigest(**entry) for entry in data.get("images", ()))
    for image in images:
        if not DIGEST_PATTERN.fullmatch(image.digest):
            raise ValueError(f"{path}: {image.name} for {image.platform}: {image.digest!r}")
    return DigestTable(ImagePattern(**{**wanted, "pythons": tuple(wanted["pythons"])}), images)


def write_digests(path: Path, digests: DigestTable) -> None:
    """Write the file, whole or not at all, with the comment that it begins with."""
    order = digests.wanted.pythons
    images = sorted(digests.images, key=lambda each: (order.index(each.python), each.platform))
    document = {
        "schema": _SCHEMA,
        "wanted": dataclasses.asdict(digests.wanted),
        "images": [_entry(image) for image in images],
    }
    write_toml(path, document)


def _entry(image: ImageDigest) -> dict[str, str]:
    return {key: value for key, value in dataclasses.asdict(image).items() if value}
