"""Integrations: the modules of `apps/libraries/`, one for each row of an integration table.

The modules are parsed, never imported: their own imports work only inside cells.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from matrix.errors import UsageError
from matrix.probes.declaration import DeclarationError, Integration, parse
from matrix.system.paths import apps_dir

LIBRARIES = "libraries"
LIBRARY = "library:"
"""The prefix of a library's name as the argument of `apps/serve.py`."""


def module_path(slug: str, apps: Path | None = None) -> Path:
    """Return the path of a library's module, which may not exist."""
    return (apps or apps_dir()) / LIBRARIES / f"{slug.replace('-', '_')}.py"


@functools.cache
def load_integrations(folder: Path | None = None) -> Mapping[str, Integration]:
    """Return the integrations by slug; raise `UsageError` with all problems of all modules."""
    integrations: dict[str, Integration] = {}
    problems: list[str] = []
    for path in sorted((folder or apps_dir() / LIBRARIES).glob("*.py")):
        if path.stem == "__init__":
            continue
        slug = path.stem.replace("_", "-")
        try:
            integrations[slug] = parse(slug, path.read_text(encoding="utf-8"))
        except DeclarationError as error:
            problems += error.problems
    if problems:
        raise UsageError(
            "invalid declarations of libraries:\n" + "\n".join(f"  {line}" for line in problems),
            "The declarations are documented in apps/libraries/README.md.",
        )
    return MappingProxyType(integrations)


def find_integration(framework: str) -> Integration | None:
    """Return the integration that a cell's framework stands for, None for a sample app."""
    return load_integrations().get(framework)


def distribution_name(framework: str) -> str:
    """Return the distribution that a cell's framework version is a release of.

    It is "" for the standard library, which has the interpreter's version.
    """
    integration = find_integration(framework)
    return framework if integration is None else integration.distribution
