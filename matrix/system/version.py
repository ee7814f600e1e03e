"""Which version of this project a machine has: machines of two versions make no run together."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path

from matrix.system.paths import apps_dir, fixtures_dir, project_root

__all__ = ["digest_of", "project_version"]

_SKIPPED = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


@functools.cache
def project_version() -> str:
    """Return the digest of all files of the project, but for its tests, as this process began.

    What is sent between machines is made of our classes, and what a cell shows depends on how its
    environment is made: so nearly everything counts, and the rest is not worth a list.
    """
    return digest_of((project_root() / "matrix", apps_dir(), fixtures_dir()))


def digest_of(roots: Iterable[Path]) -> str:
    """Return the sha256 over names and contents of files, and of all files below folders.

    A checkout on Windows ends its lines otherwise, and is the same.
    """
    total = hashlib.sha256()
    for root in roots:
        for path in _files(root):
            content = path.read_bytes().replace(b"\r\n", b"\n")
            name = path.relative_to(root.parent).as_posix()
            total.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return total.hexdigest()


def _files(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    found = (
        path
        for path in root.rglob("*")
        if path.is_file() and _SKIPPED.isdisjoint(path.parts) and path.suffix != ".pyc"
    )
    # By their letters: Windows has another order for paths, and makes other keys of the same files.
    return sorted(found, key=lambda path: path.parts)
