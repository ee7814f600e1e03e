"""How much of the plan is run, from `data/profiles.toml`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from matrix.errors import UsageError, did_you_mean
from matrix.model.claim import Claim
from matrix.model.reason import Reason
from matrix.planning.expectations import Check
from matrix.system.data_files import read_data

__all__ = ["Profile", "ProfileLimit", "load_profile", "profile_names"]


@dataclasses.dataclass(frozen=True)
class ProfileLimit:
    """What of the claims is asked, on which runtimes and targets; an empty tuple narrows nothing.

    `picks` are `lowest` and `newest`, `minimums` capabilities whose documented minimum applies.
    """

    runtimes: Literal["all", "ends", "newest"]
    targets: Literal["all", "first"] = "all"
    kinds: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    frameworks: tuple[str, ...] = ()
    picks: tuple[str, ...] = ()
    minimums: tuple[str, ...] = ()

    def fits(self, ask: Check) -> bool:
        """Return whether such an experiment is meant."""
        return all(
            not wanted or value in wanted
            for wanted, value in (
                (self.kinds, ask.claim.kind.value),
                (self.subjects, ask.claim.subject),
                (self.frameworks, ask.framework),
                (self.picks, ask.pick),
                (self.minimums, ask.minimum_of),
            )
        )

    def choose(self, pythons: Sequence[str]) -> tuple[str, ...]:
        """Return those of `pythons` (ascending) that are run."""
        if self.runtimes == "all":
            return tuple(pythons)
        chosen = pythons[-1:] if self.runtimes == "newest" else (*pythons[:1], *pythons[-1:])
        return tuple(dict.fromkeys(chosen))

    def places(self, claim: Claim, targets: Sequence[str]) -> tuple[str, ...]:
        """Return those of `targets`, all of which the claim admits, that it is run on."""
        return tuple(targets[:1] if self.targets == "first" and not claim.get("cpu") else targets)

    @property
    def unchosen(self) -> Reason:
        """Return what to say of a runtime that is not run."""
        between = self.runtimes == "ends"
        return Reason.BETWEEN_BOUNDARIES if between else Reason.NOT_IN_PROFILE


@dataclasses.dataclass(frozen=True)
class Profile:
    """A profile: the first of its narrowings that fits an ask decides on its runtimes."""

    name: str
    asks: tuple[ProfileLimit, ...]

    def narrowing(self, ask: Check) -> ProfileLimit | None:
        """Return what decides on an ask, None where the profile does not mean it."""
        return next((each for each in self.asks if each.fits(ask)), None)


def profile_names() -> tuple[str, ...]:
    """Return the names of the profiles."""
    return tuple(read_data("profiles"))


def load_profile(name: str, data: Mapping[str, Any] | None = None) -> Profile:
    """Return the profile of that name; raise `UsageError` where there is none."""
    known = read_data("profiles") if data is None else data
    if name not in known:
        raise UsageError(
            f"unknown profile {name!r}{did_you_mean(name, known)}",
            f"Profiles: {', '.join(known)}.",
        )
    return Profile(name, tuple(_narrowing(entry) for entry in known[name]["ask"]))


def _narrowing(entry: Mapping[str, Any]) -> ProfileLimit:
    narrow = {key: tuple(value) for key, value in entry.items() if isinstance(value, list)}
    return ProfileLimit(runtimes=entry["runtimes"], targets=entry.get("targets", "all"), **narrow)
