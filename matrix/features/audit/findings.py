"""Findings of the audit: their kinds, the lines they cite, and what is likely out of date."""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections.abc import Iterable, Mapping
from typing import Any

from matrix.model.claim import Claim
from matrix.system.files import read_data


class FindingKind(str, enum.Enum):
    """A kind of finding; titles and meanings are in `data/audit.toml`."""

    # Between documents.
    CAPABILITY_MISSING = "capability-missing"
    ROW_MISSING = "row-missing"
    COLUMN_MISSING = "column-missing"
    TABLE_MISSING = "table-missing"
    NOTE_MISSING = "note-missing"
    BRANCH_MISSING = "branch-missing"
    MINIMUM_DIFFERS = "minimum-differs"
    SUPPORT_LEVEL_DIFFERS = "support-level-differs"
    STATUS_DIFFERS = "status-differs"
    DETAIL_DIFFERS = "detail-differs"
    NOTE_AGAINST_TABLE = "note-against-table"
    # Within one document.
    MINIMUM_OUTSIDE_BRANCHES = "minimum-outside-branches"
    MINIMUM_OUTSIDE_RUNTIMES = "minimum-outside-runtimes"
    # Against the tracer's registry of what its tests cover.
    PROMISE_UNTESTED = "promise-untested"
    PROMISE_PARTLY_UNTESTED = "promise-partly-untested"
    AUTOMATIC_DIFFERS = "automatic-differs"
    TESTED_UNNAMED = "tested-unnamed"
    # Against the package index.
    MINIMUM_NOT_RELEASED = "minimum-not-released"
    MINIMUM_YANKED = "minimum-yanked"
    RUNTIME_WITHOUT_ARTIFACT = "runtime-without-artifact"
    RUNTIME_PARTLY_WITHOUT_ARTIFACT = "runtime-partly-without-artifact"
    RUNTIME_FROM_SOURCE_ONLY = "runtime-from-source-only"
    RELEASE_VANISHED = "release-vanished"
    WHEEL_EXCLUDED = "wheel-excluded"
    REQUIRES_PYTHON_DIFFERS = "requires-python-differs"
    # Inside the artifacts.
    ARTIFACT_REFUSED = "artifact-refused"
    LIBRARY_MISSING = "library-missing"
    LIBRARY_FOREIGN = "library-foreign"
    LIBRARY_FOREIGN_LIBC = "library-foreign-libc"
    LIBRARY_BUILT_FOR_GLIBC = "library-built-for-glibc"
    LIBRARY_NEEDLESS = "library-needless"
    MODULE_MISSING = "module-missing"
    MODULE_MISSING_LATER = "module-missing-later"
    IMPORT_UNDECLARED = "import-undeclared"
    REQUIREMENT_UNMET = "requirement-unmet"
    REQUIREMENT_UNREADABLE = "requirement-unreadable"


@dataclasses.dataclass(frozen=True)
class FindingText:
    """The texts of a kind; `contradicts` is set if such findings contradict a claim."""

    title: str
    meaning: str
    contradicts: bool


@dataclasses.dataclass(frozen=True)
class DocumentLine:
    """A line of a document (1-based) with a short summary of it.

    For something that is missing, the line is that of the table it belongs to (1 without such a
    table), and `claim` is empty.
    """

    document: str
    line: int
    says: str
    claim: str = ""

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


@dataclasses.dataclass(frozen=True)
class AuditFinding:
    """A contradiction or omission; `subject` is for example `capability/api-security`.

    `stale` are the places that are likely out of date (none if unknown), `reason` is the reason.
    """

    kind: FindingKind
    subject: str
    says: str
    places: tuple[DocumentLine, ...] = ()
    stale: tuple[DocumentLine, ...] = ()
    reason: str = ""

    @property
    def contradicts(self) -> bool:
        """Return whether the finding contradicts a claim."""
        return finding_texts()[self.kind].contradicts

    def to_json(self) -> dict[str, Any]:
        """Return the finding as plain JSON values."""
        data = dataclasses.asdict(self)
        data["kind"] = self.kind.value
        return {**data, "contradicts": self.contradicts}


@functools.cache
def finding_texts() -> Mapping[FindingKind, FindingText]:
    """Return the texts of all kinds; raise KeyError or ValueError if the data has other kinds."""
    data = read_data("audit")["kinds"]
    unknown = set(data) - {kind.value for kind in FindingKind}
    if unknown:
        raise ValueError(f"unknown finding kinds in audit.toml: {', '.join(sorted(unknown))}")
    return {kind: FindingText(**data[kind.value]) for kind in FindingKind}


def describe_claim(claim: Claim) -> str:
    """Return a short summary of a claim."""
    words = [claim.specifier, claim.status.value]
    words += [f"{key} {value}" for key, value in claim.scope if key in ("automatic", "until")]
    return ", ".join(word for word in words if word)


def claim_line(claim: Claim, says: str = "") -> DocumentLine:
    """Return the line of a claim with a summary of it (`describe_claim` by default)."""
    return DocumentLine(claim.document, claim.line, says or describe_claim(claim), claim.id)


def first_of_each_line(places: Iterable[DocumentLine]) -> tuple[DocumentLine, ...]:
    """Return the first place of each line of each document, in order."""
    first: dict[tuple[str, int], DocumentLine] = {}
    for place in places:
        first.setdefault((place.document, place.line), place)
    return tuple(first.values())


def sort_findings(findings: Iterable[AuditFinding]) -> tuple[AuditFinding, ...]:
    """Return the findings, contradictions first, then by kind and subject."""
    kinds = list(FindingKind)
    return tuple(
        sorted(
            findings,
            key=lambda finding: (
                not finding.contradicts,
                kinds.index(finding.kind),
                finding.subject,
            ),
        )
    )
