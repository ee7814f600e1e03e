"""The releases that the vendor's own tests cover, as claims of their own.

Of each dependency of an integration that is the lowest, the highest and one tested release between
them, each on the oldest and the newest CPython on which the registry says that it is tested.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence

from packaging.version import Version

from matrix.errors import UsageError
from matrix.model.cell import matches
from matrix.model.claim import TESTED, Claim
from matrix.model.vendor_tests import VendorTested
from matrix.pypi.releases import Release, Releases, python_key

DEFAULT_TRACER = "4.*"
"""The tracer whose registry names tested releases: the newest release that matches the glob."""


def vendor_claims(
    claims: Iterable[Claim], tested: Iterable[VendorTested], pythons: Collection[str] | None = None
) -> tuple[Claim, ...]:
    """Return a claim for each chosen release and CPython, in the registry's order.

    `claims` are those that were read with `tested`. Of the CPythons of a release only `pythons`
    count, where it is tested on any of them; None stands for all.
    """
    rows = {claim.id: claim for claim in claims}
    entries: dict[tuple[str, str, str], list[VendorTested]] = defaultdict(list)
    for item in tested:
        entries[item.document, item.integration, item.dependency].append(item)
    return tuple(
        _claim(rows[item.claim], item, version)
        for items in entries.values()
        for item, version in _chosen(items, pythons)
    )


def vendor_tracer(tracer: Releases, globs: Sequence[str] = ()) -> Release:
    """Return the newest release of the tracer that matches a glob, by default of 4.x.

    Raises UsageError where there is none.
    """
    patterns = globs or (DEFAULT_TRACER,)
    for release in reversed(tracer.all):
        if any(matches(pattern, [release.text]) for pattern in patterns):
            return release
    raise UsageError(
        f"no final release of {tracer.name}{tracer.until_note} is {' or '.join(patterns)}",
        "With --tested, --ddtrace names the release that runs: --ddtrace 4.16.0, or '4.*'.",
    )


def _chosen(
    items: Sequence[VendorTested], pythons: Collection[str] | None
) -> Iterator[tuple[VendorTested, str]]:
    """Yield the chosen releases of one dependency, each with an entry that names it."""
    versions = sorted({version for item in items for version in item.versions}, key=Version)
    between = versions[len(versions) // 2 : -1][:1]
    for version in dict.fromkeys([*versions[:1], *between, *versions[-1:]]):
        naming = [item for item in items if version in item.versions]
        here = [item for item in naming if pythons is None or item.python in pythons] or naming
        here.sort(key=lambda item: python_key(item.python) if item.python else ())
        for item in here[:1] if len(here) == 1 else (here[0], here[-1]):
            yield item, version


def _claim(row: Claim, item: VendorTested, version: str) -> Claim:
    return dataclasses.replace(
        row,
        id=f"{row.id}/{version}",
        specifier=f"=={version}",
        as_written=version,
        line=item.line_of(version),
        scope=(*row.scope, (TESTED, "yes")),
    )
