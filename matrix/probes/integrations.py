"""Integrations: the modules of `apps/libraries/`, one for each row of an integration table.

Only a module's literals are read, it is never imported: what it imports exists in cells only. They
give the probe, the requirements of a cell's environment, and the CPythons a release runs on.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from matrix.errors import UsageError
from matrix.probes.declaration import DeclarationError, Integration, parse
from matrix.system.paths import apps_dir

__all__ = [
    "LIBRARIES",
    "LIBRARY",
    "distribution_of",
    "integration_of",
    "load_integrations",
    "module_of",
]

LIBRARIES = "libraries"
LIBRARY = "library:"
"""What `apps/serve.py` is to serve, before the name of a library."""
# What the modules share.
_SHARED = frozenset({"__init__"})


def module_of(slug: str, apps: Path | None = None) -> Path:
    """Return where the module of a library is, or would be."""
    return (apps or apps_dir()) / LIBRARIES / f"{slug.replace('-', '_')}.py"


@functools.cache
def load_integrations(folder: Path | None = None) -> Mapping[str, Integration]:
    """Return the integrations by slug; raise `UsageError` that lists all that is wrong."""
    found: dict[str, Integration] = {}
    problems: list[str] = []
    for path in sorted((folder or apps_dir() / LIBRARIES).glob("*.py")):
        if path.stem in _SHARED:
            continue
        slug = path.stem.replace("_", "-")
        try:
            found[slug] = parse(slug, path.read_text(encoding="utf-8"))
        except DeclarationError as error:
            problems += error.problems
    if problems:
        raise UsageError(
            "libraries that are not declared well:\n" + "\n".join(f"  {each}" for each in problems),
            "What a module of apps/libraries/ says is told in apps/libraries/README.md.",
        )
    return MappingProxyType(found)


def integration_of(framework: str) -> Integration | None:
    """Return the integration that a cell's framework stands for, None for a web app of ours."""
    return load_integrations().get(framework)


def distribution_of(framework: str) -> str:
    """Return the distribution whose release a cell's framework version is.

    "" where that is the standard library, which has the interpreter's version.
    """
    found = integration_of(framework)
    return framework if found is None else found.distribution
