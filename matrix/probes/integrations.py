"""Integrations: the modules of `apps/libraries/`, one for each row of an integration table."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from packaging.utils import canonicalize_name

from matrix.errors import UsageError
from matrix.probes.declarations import DeclarationError, Integration, parse
from matrix.system.paths import apps_dir

LIBRARIES = "libraries"
PROBE_PREFIX = "integration-"
"""How the names of the probes of libraries begin."""
LIBRARY = "library:"
"""The prefix of a library's name as the argument of `apps/serve.py`."""


def module_path(framework: str, apps: Path | None = None) -> Path:
    """Return the path of the module that a cell's framework would run, which may not exist."""
    name = module_name(framework).replace("-", "_")
    return (apps or apps_dir()) / LIBRARIES / f"{name}.py"


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
    problems += _add_synonyms(integrations)
    if problems:
        raise UsageError(
            "invalid declarations of libraries:\n" + "\n".join(f"  {line}" for line in problems),
            "The declarations are documented in apps/libraries/README.md.",
        )
    return MappingProxyType(integrations)


def find_integration(framework: str) -> Integration | None:
    """Return the integration that a cell's framework stands for, None for a sample app."""
    return load_integrations().get(framework)


def distribution_name(framework: str, version: str) -> str:
    """Return the distribution that a cell's framework version is a release of, normalised.

    It is "" for the standard library, which has the interpreter's version.
    """
    integration = find_integration(framework)
    name = framework if integration is None else integration.distribution(version)
    return str(canonicalize_name(name))


def is_library_probe(name: str) -> bool:
    """Return whether a probe, by its name, is that of a library."""
    return name.startswith(PROBE_PREFIX)


def module_name(framework: str) -> str:
    """Return the name of the module in `apps/libraries` that a cell's framework would run."""
    integration = find_integration(framework)
    return framework if integration is None else integration.module


def _add_synonyms(integrations: dict[str, Integration]) -> Iterator[str]:
    """Add the distributions with cells of their own; yield a problem for each name in use."""
    for integration in list(integrations.values()):
        own = {item.name for item in integration.distributions}
        for name, distribution in integration.synonyms:
            if name in integrations:
                yield f"{integration.slug}: SYNONYMS: {name!r} is the name of another library"
            elif distribution not in own:
                integrations[name] = integration.under(name, distribution)
