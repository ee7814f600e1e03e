"""`services refresh`: ask the registry for the digests of the images of back ends."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from matrix.containers.references import reference
from matrix.errors import ExitCode, IndexUnavailableError, StorageError
from matrix.images.refreshing import default_registry
from matrix.images.registry_client import RegistryError, digests_of, place_of
from matrix.services.images import read_images, write_images
from matrix.services.recipes import Recipe

__all__ = ["refresh"]

Asker = Callable[[str, str, str], Mapping[str, str]]


def refresh(recipes: Iterable[Recipe], path: Path, asker: Asker = digests_of) -> ExitCode:
    """Ask, and rewrite the file; what cannot be had stays as it was. Raises UserError."""
    names = sorted({way.image for recipe in recipes for way in recipe.ways if way.image})
    digests = read_images(path)
    today = dt.datetime.now(dt.timezone.utc).date().isoformat()
    failures = []
    for name in names:
        try:
            answer = asker(*place_of(reference(name, os.environ), default_registry()))
        except RegistryError as error:
            failures.append(f"  {name}: {error}")
            continue
        digests |= {(name, platform): (digest, today) for platform, digest in answer.items()}
    if len(failures) < len(names):
        try:
            write_images(path, digests)
        except OSError as error:
            hint = "It stands in the project's own folder."
            raise StorageError(f"{path} cannot be written: {error.strerror}", hint) from error
        print(f"{len(digests)} digests: {path}")
    if failures:
        said = f"{len(failures)} of {len(names)} images could not be asked for:\n"
        raise IndexUnavailableError(
            said + "\n".join(failures),
            "Name a registry or mirror that answers in COMPAT_MATRIX_REGISTRY"
            " (such as mirror.example:5000/library).",
        )
    return ExitCode.OK
