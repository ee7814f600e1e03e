"""Plans of 10,000 to 100,000 cells, made by the real planner of promises that nobody made.

The committed documents promise things of two branches of ddtrace. Here they are said once more of
each minor series, back from 2.21: its branch is the series, its CPythons are promised up to there,
and its capabilities from the first release of it. The releases are real, and so are the rows, the
parts, what is compared with what, and what is held in reserve.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from packaging.version import Version

from matrix.model.claim import Claim, ClaimKind
from matrix.model.plan import Plan
from matrix.planning.planner import make_plan
from matrix.pypi.index import Index

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
    """Return the plan of what the documents would promise of so many series of the tracer."""
    releases = map(Version, (each.version for each in index.project("ddtrace").releases))
    found = {each.release[:2] for each in releases if not each.is_prerelease and each < _NEWEST}
    minors = sorted(found)[-series - 1 :]
    told = [
        claim
        for least, beyond in zip(minors, (*minors[1:], _NEWEST.release), strict=True)
        for claim in _about(claims, ".".join(map(str, least)), ".".join(map(str, beyond)))
    ]
    return make_plan(
        told[-series * len(claims) :],
        index,
        profile=profile,
        targets=TARGETS,
        deployments=("docker",),
    )


def _about(claims: Sequence[Claim], least: str, beyond: str) -> Iterator[Claim]:
    said = {
        ClaimKind.BRANCH: f">={least},<{beyond}",
        ClaimKind.RUNTIME: f"<{beyond}",
        ClaimKind.CAPABILITY: f">={least}",
    }
    for claim in claims:
        document = f"{claim.document} of {least}"
        yield dataclasses.replace(
            claim,
            id=claim.id.replace(claim.document, document, 1),
            document=document,
            specifier=said.get(claim.kind, claim.specifier) if claim.specifier else "",
        )
