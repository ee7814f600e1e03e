"""Plans of 10,000 to 100,000 cells, made by the real planner from fictitious claims.

The committed documents have claims about two branches of ddtrace. Here they are repeated for each
minor series, back from 2.21: its branch is the series, its CPythons are claimed up to there, and
its capabilities from its first release. The releases, rows, parts, comparisons and reserves are
real.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from packaging.version import Version

from matrix.model.claim import Claim, ClaimKind
from matrix.model.plan import Plan
from matrix.planning.planner import make_plan
from matrix.pypi.client import Index

__all__ = ["TARGETS", "big_plan"]

TARGETS = (
    "linux_x86_64",
    "linux_i686",
    "linux_aarch64",
    "macosx_x86_64",
    "macosx_arm64",
    "win_amd64",
    "win32",
)
_NEWEST = Version("2.22")


def big_plan(claims: Sequence[Claim], index: Index, series: int, profile: str) -> Plan:
    """Return the plan of the documents' claims about so many series of the tracer."""
    releases = map(Version, (item.version for item in index.project("ddtrace").releases))
    series_found = {v.release[:2] for v in releases if not v.is_prerelease and v < _NEWEST}
    minors = sorted(series_found)[-series - 1 :]
    repeated = [
        claim
        for first, beyond in zip(minors, (*minors[1:], _NEWEST.release), strict=True)
        for claim in _repeat(claims, ".".join(map(str, first)), ".".join(map(str, beyond)))
    ]
    return make_plan(
        repeated[-series * len(claims) :],
        index,
        profile=profile,
        targets=TARGETS,
        places=("docker",),
    )


def _repeat(claims: Sequence[Claim], first: str, beyond: str) -> Iterator[Claim]:
    specifiers = {
        ClaimKind.BRANCH: f">={first},<{beyond}",
        ClaimKind.RUNTIME: f"<{beyond}",
        ClaimKind.CAPABILITY: f">={first}",
    }
    for claim in claims:
        document = f"{claim.document} of {first}"
        yield dataclasses.replace(
            claim,
            id=claim.id.replace(claim.document, document, 1),
            document=document,
            specifier=specifiers.get(claim.kind, claim.specifier) if claim.specifier else "",
        )
