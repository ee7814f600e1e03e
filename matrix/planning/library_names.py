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
    integrations: Mapping[str, Integration], name: str, role: str = "", integration: str = ""
) -> list[NamedLibrary]:
    """Return the libraries that a row's name leads to, none for an unknown name.

    First the library with that name, in the row's role or in any; then those that declare it as a
    synonym; then, for a row without a role, those with a distribution of that name (aiohttp's
    client and server). A row of the tracer's registry also names its `integration`: where another
    library has that and a distribution of the name (Botocore under aiobotocore), it is meant.
    """
    named = _named(integrations, name, role)
    if not integration or any(item.integration.integration == integration for item in named):
        return named
    others = _with_distribution(integrations, name)
    return [item for item in others if item.integration.integration == integration] or named


def _named(integrations: Mapping[str, Integration], name: str, role: str) -> list[NamedLibrary]:
    for slug in (f"{name}-{role}" if role else name, name):
        if slug in integrations:
            return [NamedLibrary(integrations[slug])]
    synonyms = [
        NamedLibrary(integration, distribution)
        for integration in integrations.values()
        for synonym, distribution in integration.synonyms
        if synonym == name
    ]
    return synonyms or ([] if role else _with_distribution(integrations, name))


def _with_distribution(integrations: Mapping[str, Integration], name: str) -> list[NamedLibrary]:
    return [
        NamedLibrary(integration, item.name)
        for integration in integrations.values()
        for item in integration.distributions
        if canonicalize_name(item.name) == name
    ]
