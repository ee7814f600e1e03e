"""Profiles: how much of the plan runs, from `data/profiles.toml`.

The cells of the smoke profile are also listed in a file, `data/smoke.toml`, from which the nox
sessions `cell(<id>)` are made: `nox -l` must need neither an index nor any package but nox.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from matrix.errors import UsageError, did_you_mean
from matrix.model.claim import Claim
from matrix.model.plan import Plan
from matrix.model.reason import Reason
from matrix.planning.expectations import Check
from matrix.pypi.releases import Release
from matrix.system.files import read_data
from matrix.system.paths import data_dir

SMOKE = "smoke"


@dataclasses.dataclass(frozen=True)
class ProfileLimit:
    """A limit on checks, runtimes and targets; an empty tuple limits nothing.

    `picks` are `lowest` and `newest`, `minimums` capabilities whose documented minimum applies.
    `beyond` are the majors after those of the page that are asked, too: all, the newest, or none.
    """

    runtimes: Literal["all", "ends", "newest"]
    targets: Literal["all", "first"] = "all"
    kinds: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    frameworks: tuple[str, ...] = ()
    picks: tuple[str, ...] = ()
    minimums: tuple[str, ...] = ()
    beyond: Literal["all", "newest", "none"] = "none"

    def admits(self, check: Check) -> bool:
        """Return whether the limit is about such a check."""
        return all(
            not allowed or value in allowed
            for allowed, value in (
                (self.kinds, check.claim.kind.value),
                (self.subjects, check.claim.subject),
                (self.frameworks, check.framework),
                (self.picks, check.pick),
                (self.minimums, check.minimum_of),
            )
        )

    def choose_pythons(self, pythons: Sequence[str]) -> tuple[str, ...]:
        """Return those of `pythons` (ascending) that are run."""
        if self.runtimes == "all":
            return tuple(pythons)
        chosen = pythons[-1:] if self.runtimes == "newest" else (*pythons[:1], *pythons[-1:])
        return tuple(dict.fromkeys(chosen))

    def choose_targets(self, claim: Claim, targets: Sequence[str]) -> tuple[str, ...]:
        """Return those of `targets`, all of which the claim admits, that it is run on."""
        return tuple(targets[:1] if self.targets == "first" and not claim.get("cpu") else targets)

    def choose_beyond(self, releases: Sequence[Release]) -> tuple[Release, ...]:
        """Return those of `releases` (ascending) beyond the page's majors that are run."""
        return tuple(releases[{"all": 0, "newest": -1, "none": len(releases)}[self.beyond] :])

    @property
    def unchosen_reason(self) -> Reason:
        """Return the reason for which a runtime is not run."""
        between = self.runtimes == "ends"
        return Reason.BETWEEN_BOUNDARIES if between else Reason.NOT_IN_PROFILE


@dataclasses.dataclass(frozen=True)
class Profile:
    """A profile: the first of its limits that admits a check decides on its runtimes."""

    name: str
    limits: tuple[ProfileLimit, ...]

    def limit_for(self, check: Check) -> ProfileLimit | None:
        """Return the limit that decides on a check, None where the profile excludes it."""
        return next((limit for limit in self.limits if limit.admits(check)), None)


def profile_names() -> tuple[str, ...]:
    """Return the names of the profiles."""
    return tuple(read_data("profiles"))


def load_profile(name: str, data: Mapping[str, Any] | None = None) -> Profile:
    """Return the profile of that name; raise `UsageError` where there is none."""
    profiles = read_data("profiles") if data is None else data
    if name not in profiles:
        raise UsageError(
            f"unknown profile {name!r}{did_you_mean(name, profiles)}",
            f"Profiles: {', '.join(profiles)}.",
        )
    return Profile(name, tuple(_read_limit(entry) for entry in profiles[name]["ask"]))


def _read_limit(entry: Mapping[str, Any]) -> ProfileLimit:
    lists = {key: tuple(value) for key, value in entry.items() if isinstance(value, list)}
    return ProfileLimit(
        runtimes=entry["runtimes"],
        targets=entry.get("targets", "all"),
        beyond=entry.get("beyond", "none"),
        **lists,
    )


def smoke_path() -> Path:
    """Return the path of the list of smoke cells."""
    return data_dir() / "smoke.toml"


def format_smoke_list(plan: Plan) -> str:
    """Return the plan's cells to run as TOML; equal for equal plans."""
    cells = sorted((planned.cell for planned in plan.cells), key=lambda cell: cell.sort_key)
    return "\n".join(
        [
            "# made by: python -m matrix plan --write-smoke",
            "# `snapshot` is when the package index was read.",
            f"snapshot = {plan.snapshot:%Y-%m-%d}",
            "cells = [",
            *(f'  "{cell.id}",' for cell in cells),
            "]",
            "",
        ]
    )
