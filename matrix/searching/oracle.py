"""What is asked of one release, and what there is to answer."""

from __future__ import annotations

import dataclasses
import enum
from typing import Protocol

__all__ = ["Answer", "Oracle", "Reply"]


class Answer(str, enum.Enum):
    """Whether a release can do it. What cannot be installed or started is neither yes nor no."""

    WORKS = "works"
    FAILS = "fails"
    CANNOT_TELL = "cannot-tell"


@dataclasses.dataclass(frozen=True)
class Reply:
    """The answer for one release; `reason` is a clause, given wherever it cannot be told."""

    answer: Answer
    reason: str = ""


class Oracle(Protocol):
    """Answers for releases; each is asked once."""

    def ask(self, release: str) -> Reply:
        """Return whether this release can do it."""
        ...
