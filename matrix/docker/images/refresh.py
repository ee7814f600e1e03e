"""Digests of all wanted images, asked of the registry: what cannot be had stays as it was."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from matrix.docker.images.digests import DigestTable, ImageDigest
from matrix.docker.images.recipes import recipes
from matrix.docker.images.registry import RegistryError, digests_of, place_of
from matrix.docker.platforms import reference

__all__ = ["DigestRefresh", "default_registry", "refresh"]

_WORKERS = 4

Asker = Callable[[str, str, str], Mapping[str, str]]


@dataclasses.dataclass(frozen=True)
class DigestRefresh:
    """`digests` are the new ones and what was kept; `new` counts those that are not as before.

    `failures` are sentences on images that could not be asked for, `absent` on platforms that an
    image is not made for; `answered` counts the images that the registry told of.
    """

    digests: DigestTable
    new: int
    answered: int
    failures: tuple[str, ...]
    absent: tuple[str, ...]


def default_registry() -> str:
    """Return the address of the registry that an engine asks where no host is named."""
    import docker.auth  # noqa: PLC0415 - slow to import

    return f"https://{urlsplit(docker.auth.INDEX_URL).netloc}"


def refresh(
    digests: DigestTable,
    environ: Mapping[str, str],
    today: dt.date,
    default: str,
    asker: Asker = digests_of,
) -> DigestRefresh:
    """Ask for every wanted image; `default` is the address where no host is configured."""
    pythons = digests.wanted.pythons
    names = [digests.wanted.name.format(python=python) for python in pythons]

    def one(name: str) -> Mapping[str, str] | str:
        try:
            return asker(*place_of(reference(name, environ), default))
        except RegistryError as error:
            return str(error)

    with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
        answers = list(pool.map(one, names))
    images = {(image.python, image.platform): image for image in digests.images}
    before = dict(images)
    failures, absent = [], []
    for python, name, answer in zip(pythons, names, answers, strict=True):
        if isinstance(answer, str):
            failures.append(f"{name}: {answer}")
            continue
        for target in recipes().targets:
            key = (python, target.platform)
            if target.platform in answer:
                images[key] = ImageDigest(*key, name, answer[target.platform], today.isoformat())
            else:
                absent.append(f"{name} is not made for {target.platform}")
    return DigestRefresh(
        DigestTable(digests.wanted, tuple(images.values())),
        sum(_digest(before.get(key)) != image.digest for key, image in images.items()),
        sum(not isinstance(answer, str) for answer in answers),
        tuple(failures),
        tuple(absent),
    )


def _digest(image: ImageDigest | None) -> str:
    return image.digest if image else ""
