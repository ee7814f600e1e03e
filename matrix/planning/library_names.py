"""The libraries that the name of an integration row leads to."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from packaging.utils import canonicalize_name

from matrix.probes.declarations import Integration


@dataclasses.dataclass(frozen=True)
class NamedLibrary:
    """A library; `distribution` is the only one of it that the name means, "" for all."""

    integration: Integration
    distribution: str = ""


def named_libraries(
    integrations: Mapping[str, Integration], name: str, role: str = ""
) -> list[NamedLibrary]:
    """Return the libraries that a row's name leads to, none for an unknown name.

    First the library with that name, in the row's role or in any; then those that declare it as a
    synonym; then, for a row without a role, those with a distribution of that name (aiohttp's
    client and server).
    """
    for slug in (f"{name}-{role}" if role else name, name):
        if slug in integrations:
            return [NamedLibrary(integrations[slug])]
    synonyms = [
        NamedLibrary(integration, distribution)
        for integration in integrations.values()
        for synonym, distribution in integration.synonyms
        if synonym == name
    ]
    return synonyms or [
        NamedLibrary(integration, item.name)
        for integration in integrations.values()
        for item in integration.distributions
        if not role and canonicalize_name(item.name) == name
    ]
