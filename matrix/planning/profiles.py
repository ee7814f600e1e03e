"""How much of the plan is run, from `data/profiles.toml`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from matrix.errors import UsageError, nearest
from matrix.model.reason import Reason
from matrix.planning.data import read_data

__all__ = ["Profile", "load_profile", "profile_names"]


@dataclasses.dataclass(frozen=True)
class Profile:
    """A profile; an empty tuple narrows nothing. `picks` are `lowest` and `newest`."""

    name: str
    runtimes: Literal["all", "ends", "newest"]
    kinds: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    frameworks: tuple[str, ...] = ()
    picks: tuple[str, ...] = ()

    def asks_for(self, kind: str, subject: str, framework: str, pick: str) -> bool:
        """Return whether such an experiment belongs to the profile."""
        return all(
            not wanted or value in wanted
            for wanted, value in (
                (self.kinds, kind),
                (self.subjects, subject),
                (self.frameworks, framework),
                (self.picks, pick),
            )
        )

    def choose(self, pythons: Sequence[str]) -> tuple[str, ...]:
        """Return those of `pythons` (ascending) that are run."""
        if self.runtimes == "all":
            return tuple(pythons)
        chosen = pythons[-1:] if self.runtimes == "newest" else (*pythons[:1], *pythons[-1:])
        return tuple(dict.fromkeys(chosen))

    @property
    def unchosen(self) -> Reason:
        """Return what to say of a runtime that is not run."""
        between = self.runtimes == "ends"
        return Reason.BETWEEN_BOUNDARIES if between else Reason.NOT_IN_PROFILE


def profile_names() -> tuple[str, ...]:
    """Return the names of the profiles."""
    return tuple(read_data("profiles"))


def load_profile(name: str, data: Mapping[str, Any] | None = None) -> Profile:
    """Return the profile of that name; raise `UsageError` where there is none."""
    known = read_data("profiles") if data is None else data
    if name not in known:
        near = nearest(name, known)
        raise UsageError(
            f"no profile {name!r}" + (f"; did you mean {near!r}?" if near else ""),
            f"Profiles: {', '.join(known)}.",
        )
    entry = known[name]
    return Profile(
        name=name,
        runtimes=entry["runtimes"],
        kinds=tuple(entry.get("kinds", ())),
        subjects=tuple(entry.get("subjects", ())),
        frameworks=tuple(entry.get("frameworks", ())),
        picks=tuple(entry.get("picks", ())),
    )
