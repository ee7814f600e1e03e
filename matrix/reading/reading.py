"""What a reading gives: claims, problems and notices."""

from __future__ import annotations

import dataclasses

from matrix.errors import Problem
from matrix.model.claim import Claim

__all__ = ["Reading"]


@dataclasses.dataclass(frozen=True)
class Reading:
    """What was read: claims in their order, problems, and notices.

    A problem is a row or word that is not understood. A notice is something that is understood
    and not read: a table that a partial puts there when the page is built, so that its rows are
    not in this file; a section about another tracer.
    """

    claims: tuple[Claim, ...]
    problems: tuple[Problem, ...] = ()
    notices: tuple[Problem, ...] = ()
