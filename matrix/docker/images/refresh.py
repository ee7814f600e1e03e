"""Refresh of the official images' digests from the registry; digests of failed images stay."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from matrix.docker.images.digests import DigestTable, ImageDigest
from matrix.docker.images.recipes import read_recipes
from matrix.docker.images.registry import RegistryError, fetch_digests, parse_image_name
from matrix.docker.platforms import registry_reference

_WORKERS = 4

FetchDigests = Callable[[str, str, str], Mapping[str, str]]
"""Fetches digests by platform, given a registry's address, a repository and a tag."""


@dataclasses.dataclass(frozen=True)
class DigestRefresh:
    """`digests` are the new ones and the old ones that stay; `new` counts those that changed.

    `failures` has a message for each image that could not be fetched, `absent` one for each
    platform that an image lacks; `answered` counts the images that were fetched.
    """

    digests: DigestTable
    new: int
    answered: int
    failures: tuple[str, ...]
    absent: tuple[str, ...]


def default_registry() -> str:
    """Return the address of an engine's registry for names without a host."""
    import docker.auth  # noqa: PLC0415 - slow to import

    return f"https://{urlsplit(docker.auth.INDEX_URL).netloc}"


def refresh_digests(
    digests: DigestTable,
    environ: Mapping[str, str],
    today: dt.date,
    default: str,
    fetch: FetchDigests = fetch_digests,
) -> DigestRefresh:
    """Fetch the digests of all official images; `default` is the registry if none is configured."""
    pythons = digests.pattern.pythons
    names = [digests.pattern.name.format(python=python) for python in pythons]

    def fetch_image(name: str) -> Mapping[str, str] | str:
        try:
            return fetch(*parse_image_name(registry_reference(name, environ), default))
        except RegistryError as error:
            return str(error)

    with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
        results = list(pool.map(fetch_image, names))
    before = {(image.python, image.platform): image for image in digests.images}
    images = dict(before)
    failures, absent = [], []
    for python, name, result in zip(pythons, names, results, strict=True):
        if isinstance(result, str):
            failures.append(f"{name}: {result}")
            continue
        for target in read_recipes().targets:
            key = (python, target.platform)
            if target.platform in result:
                images[key] = ImageDigest(*key, name, result[target.platform], today.isoformat())
            else:
                absent.append(f"{name} is not made for {target.platform}")
    return DigestRefresh(
        DigestTable(digests.pattern, tuple(images.values())),
        sum(key not in before or before[key].digest != images[key].digest for key in images),
        len(results) - len(failures),
        tuple(failures),
        tuple(absent),
    )
