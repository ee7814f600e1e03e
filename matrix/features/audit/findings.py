"""A finding of the audit: what does not fit, where, and which side is likely out of date."""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections.abc import Iterable, Mapping
from typing import Any

from matrix.model.claim import Claim
from matrix.system.data_files import read_data

__all__ = [
    "AuditFinding",
    "DocumentLine",
    "FindingKind",
    "FindingText",
    "explained",
    "in_order",
    "place_of",
]


class FindingKind(str, enum.Enum):
    """Typed kinds; their titles and meanings stand in `data/audit.toml`."""

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
    """A kind in words; `contradicts` where such a finding means that a promise cannot be true.

    Of two that contradict each other one is wrong. What is merely missing contradicts nothing.
    """

    title: str
    meaning: str
    contradicts: bool


@dataclasses.dataclass(frozen=True)
class DocumentLine:
    """A line of a document (1-based) and what it says, in a few words.

    Where a document lacks something, the line is that of the table it would stand in (1 where
    there is no such table), and `claim` is empty.
    """

    document: str
    line: int
    says: str
    claim: str = ""

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


@dataclasses.dataclass(frozen=True)
class AuditFinding:
    """What does not fit. `subject` names it (`capability/api-security`).

    `stale` are the places that are likely out of date, `reason` says why; where it cannot be told
    `stale` is empty and `reason` says so.
    """

    kind: FindingKind
    subject: str
    says: str
    places: tuple[DocumentLine, ...] = ()
    stale: tuple[DocumentLine, ...] = ()
    reason: str = ""

    @property
    def contradicts(self) -> bool:
        """Return whether a promise cannot be true because of it."""
        return explained()[self.kind].contradicts

    def to_json(self) -> dict[str, Any]:
        """Return the finding as plain JSON values."""
        data = dataclasses.asdict(self)
        data["kind"] = self.kind.value
        return {**data, "contradicts": self.contradicts}


@functools.cache
def explained() -> Mapping[FindingKind, FindingText]:
    """Return the words for every kind; raise KeyError or ValueError where the data lacks one."""
    data = read_data("audit")["kinds"]
    strangers = set(data) - {kind.value for kind in FindingKind}
    if strangers:
        raise ValueError(f"audit.toml explains what is no kind: {', '.join(sorted(strangers))}")
    return {kind: FindingText(**data[kind.value]) for kind in FindingKind}


def place_of(claim: Claim, says: str) -> DocumentLine:
    """Return the place of a claim."""
    return DocumentLine(claim.document, claim.line, says, claim.id)


def in_order(findings: Iterable[AuditFinding]) -> tuple[AuditFinding, ...]:
    """Return the findings, those that contradict first, then by kind and subject."""
    kinds = list(FindingKind)
    return tuple(
        sorted(findings, key=lambda one: (not one.contradicts, kinds.index(one.kind), one.subject))
    )
