"""The CPythons that cells can be run on here, without making or getting anything for good."""

from __future__ import annotations

import contextlib

from matrix.containers.seam import ContainerError
from matrix.images.catalog import ImageCatalog
from matrix.interpreters import find_interpreters
from matrix.places import cache_dir
from matrix.verify.holding import Held

__all__ = ["pythons_at_hand"]


def pythons_at_hand(runs: Held, target: str) -> frozenset[str]:
    """Return the CPythons (`3.9`) that there is an interpreter or an image for, or may be."""
    found: set[str] = set()
    if runs.engine is not None:
        with contextlib.suppress(ContainerError):
            found = {
                item.offer.python
                for item in ImageCatalog(runs.engine, cache_dir()).listed()
                if item.offer.target == target and (item.held or not item.offer.obstacle)
            }
    if runs.engine is None or runs.falls_back:
        found |= {each.python for each in find_interpreters() if each.target == target}
    return frozenset(found)
