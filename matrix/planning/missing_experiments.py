"""The experiments that would have to be written for claims that have none, grouped by file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from matrix.model.claim import Claim, ClaimKind

_LIBRARIES = "apps/libraries"
_CAPABILITIES = "matrix/probes/capabilities"
_SHOWN = 12
_TYPICAL_LINES = 20
"""What a short module of a library has; half of ours have less than 51."""


def missing_experiments(claims: Iterable[Claim]) -> Iterator[str]:
    """Yield what to write for claims without an experiment, one line for each kind of it."""
    libraries: Counter[str] = Counter()
    capabilities: Counter[str] = Counter()
    apps: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for claim in claims:
        module = claim.subject.replace("-", "_").replace(".", "_")
        if claim.kind is ClaimKind.INTEGRATION:
            libraries[f"{_LIBRARIES}/{module}.py"] += 1
        elif claim.kind in {ClaimKind.CAPABILITY, ClaimKind.DEPLOYMENT}:
            capabilities[f"{_CAPABILITIES}/{module}.py"] += 1
        elif claim.kind is ClaimKind.FRAMEWORK:
            apps[f"apps/{module}_shop/shop.py"] += 1
        else:
            others[f"{claim.kind.value} {claim.subject}"] += 1
    if libraries:
        yield (
            f"no experiment: write {_joined(libraries)}, {_TYPICAL_LINES} lines"
            f"{' each' if len(libraries) > 1 else ''}, see {_LIBRARIES}/README.md"
        )
    if capabilities:
        yield (
            f"no experiment: write {_joined(capabilities)}, and the line of each in"
            " matrix/data/coverage.toml"
        )
    if apps:
        yield f"no experiment: write {_joined(apps)}, see apps/README.md"
    if others:
        yield f"no experiment: {_joined(others)}, see matrix/data/coverage.toml"


def _joined(counts: Counter[str]) -> str:
    """Return the names with most claims first, and how many more there are."""
    names = [name for name, _ in counts.most_common()]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
