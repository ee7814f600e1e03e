"""Digests of the official images, in `data/digests.toml`."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

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
