"""One thing seen in one wheel, before the same thing in other wheels is put together with it."""

from __future__ import annotations

import dataclasses

from matrix.artifacts.contents import Contents
from matrix.audit.artifacts_platforms import Platform, platform_of, python_of
from matrix.audit.finding import FindingKind

__all__ = ["Looked", "Seen"]


@dataclasses.dataclass(frozen=True)
class Looked:
    """A wheel of a release that was looked into; `platform` is None for one that goes anywhere."""

    release: str
    tags: str
    contents: Contents

    @property
    def python(self) -> str:
        """Return the CPython it is for, "" where it names no minor version."""
        return python_of(self.tags)

    @property
    def platform(self) -> Platform | None:
        """Return the platform it is for."""
        return platform_of(self.tags)


@dataclasses.dataclass(frozen=True)
class Seen:
    """What does not fit in a wheel: `subject` names it, `says` is a clause about it.

    `member` and `line` (1-based, 0 for the file as such) are where it stands.
    """

    kind: FindingKind
    subject: str
    says: str
    member: str = ""
    line: int = 0
