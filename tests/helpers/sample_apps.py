"""The folders of sample apps, by the CPythons that their frameworks have."""

from __future__ import annotations

from pathlib import Path

from matrix.probes.shops import load_shops, shop_folder


def python_3_shops() -> set[Path]:
    """Return the folders of the apps that were never run on CPython 2."""
    return {
        shop_folder(shop.framework)
        for shop in load_shops().values()
        if not any(release.python.startswith("2.") for release in shop.tried)
    }
