"""What happens in a search, as it happens: each step is an event."""

from __future__ import annotations

import dataclasses

from matrix.searching.known import Why
from matrix.searching.oracle import Reply
from matrix.searching.result import Result

__all__ = ["Answered", "Asking", "Event", "Finished", "HoleSeen", "Narrowed", "Started"]


@dataclasses.dataclass(frozen=True)
class Started:
    """So many releases, of which at most `bound` will be asked about."""

    strategy: str
    releases: int
    documented: str | None
    bound: int


@dataclasses.dataclass(frozen=True)
class Asking:
    """A release is about to be asked about, the `number`-th (from 1)."""

    release: str
    why: Why
    number: int


@dataclasses.dataclass(frozen=True)
class Answered:
    """What came of it."""

    release: str
    reply: Reply


@dataclasses.dataclass(frozen=True)
class Narrowed:
    """The least that works is `works` now, and the newest below it that fails `fails`, if any."""

    fails: str | None
    works: str


@dataclasses.dataclass(frozen=True)
class HoleSeen:
    """The first hole has these ends now."""

    first: str
    last: str


@dataclasses.dataclass(frozen=True)
class Finished:
    """The last event."""

    result: Result


Event = Started | Asking | Answered | Narrowed | HoleSeen | Finished
