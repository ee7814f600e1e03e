"""Select a part of a plan: what some claims, frameworks, runtimes or releases need."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

from matrix.errors import NothingSelectedError, did_you_mean
from matrix.model.cell import matches
from matrix.model.claim import Claim, ClaimKind
from matrix.model.plan import Omission, Part, Plan
from matrix.model.reason import Reason
from matrix.planning.cell_set import plan_cells
from matrix.planning.coverage import load_coverage

# The names of a claim or a part, by the field of a selection whose globs are matched against them.
_Names: TypeAlias = Mapping[str, Sequence[str]]
# Fields of a selection, each with its option; some are about claims, the others about parts.
_OPTIONS = {
    "cells": "--cell",
    "claims": "--claim",
    "capabilities": "--capability",
    "frameworks": "--framework",
    "pythons": "--python",
    "tracers": "--ddtrace",
    "documents": "--document",
}
_CLAIM_FIELDS = ("claims", "capabilities", "documents")
_PART_FIELDS = ("cells", "frameworks", "pythons", "tracers")
_CAPABILITY_KINDS = (ClaimKind.CAPABILITY, ClaimKind.DEPLOYMENT)
_FRAMEWORK_KINDS = (ClaimKind.FRAMEWORK, ClaimKind.INTEGRATION, ClaimKind.AUTHENTICATION)


@dataclasses.dataclass(frozen=True)
class Selection:
    """Globs by what they are matched against; one glob of each kind that is given must match.

    `cells` match a part's cell at the minimum, at the release before or its first control;
    `tracers` match the minimum's ddtrace only, `frameworks` a name or `django1.8`, `pythons`
    `3.9` or `cp39`. A selected part brings all the cells that it is judged by, and of those that
    decide nothing the ones that match.
    """

    cells: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    frameworks: tuple[str, ...] = ()
    pythons: tuple[str, ...] = ()
    tracers: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.limits(_OPTIONS)

    def limits(self, fields: Iterable[str]) -> bool:
        """Return whether any of the fields has globs."""
        return any(getattr(self, field) for field in fields)

    def selects(self, names: _Names, fields: Iterable[str]) -> bool:
        """Return whether each of the fields that has globs has one for its `names`."""
        return all(
            any(matches(pattern, names.get(field, ())) for pattern in getattr(self, field))
            for field in fields
            if getattr(self, field)
        )


def select(plan: Plan, selection: Selection) -> Plan:
    """Return the selected part of the plan, with omissions for what its claims miss.

    Raises `NothingSelectedError`, with the nearest name, for a glob that matches nothing, and for
    globs that match nothing together.
    """
    if not selection:
        return plan
    probes: dict[str, set[str]] = defaultdict(set)
    for part in plan.parts:
        probes[part.claim].add(part.probe)
    claim_names = {claim.id: _claim_names(claim, probes[claim.id]) for claim in plan.claims}
    part_names = list(map(_part_names, plan.parts))
    _check_globs(selection, plan.profile, [*claim_names.values(), *part_names])
    claims = [
        claim for claim in plan.claims if selection.selects(claim_names[claim.id], _CLAIM_FIELDS)
    ]
    selected = {claim.id for claim in claims}
    parts = [
        _without_unasked(part, selection)
        for part, names in zip(plan.parts, part_names, strict=True)
        if part.claim in selected and selection.selects(names, _PART_FIELDS)
    ]
    if selection.limits(_PART_FIELDS):
        selected = {part.claim for part in parts}
        claims = [
            claim
            for claim in claims
            if claim.id in selected or selection.selects(claim_names[claim.id], _PART_FIELDS)
        ]
        selected = {claim.id for claim in claims}
    if not claims:
        raise NothingSelectedError(
            "no claim matches all of the selectors",
            "Each of them matches something, but not together; leave one out.",
        )
    minimums = {(part.claim, part.minimum) for part in parts}
    deselected = (
        Omission(part.claim, part.minimum.id, Reason.NOT_SELECTED, cell=part.minimum)
        for part in plan.parts
        if part.claim in selected and (part.claim, part.minimum) not in minimums
    )
    planned_cells = {planned.cell: planned for planned in (*plan.cells, *plan.fallbacks)}
    dates = {cell: planned.as_of for cell, planned in planned_cells.items()}
    # A cell soaks as in the whole plan: a crash in its soak counts for every claim.
    cells, fallbacks = (
        tuple(
            dataclasses.replace(planned, soak=planned_cells[planned.cell].soak) for planned in group
        )
        for group in plan_cells(parts, dates, load_coverage().soaked)
    )
    return dataclasses.replace(
        plan,
        claims=tuple(claims),
        parts=tuple(parts),
        cells=cells,
        fallbacks=fallbacks,
        omissions=(
            *(omission for omission in plan.omissions if omission.claim in selected),
            *dict.fromkeys(deselected),
        ),
    )


def _without_unasked(part: Part, selection: Selection) -> Part:
    """Return the part without the cells that decide nothing and that no glob asks for."""
    matching = tuple(
        cell
        for cell in part.beyond
        if all(
            any(matches(pattern, [name]) for pattern in patterns)
            for name, patterns in ((cell.id, selection.cells), (cell.ddtrace, selection.tracers))
            if patterns
        )
    )
    return part if matching == part.beyond else dataclasses.replace(part, beyond=matching)


def _claim_names(claim: Claim, probes: Collection[str]) -> _Names:
    subject = [claim.subject] if claim.kind in _CAPABILITY_KINDS else []
    scope = claim.get("capability")
    # The framework of a claim without an experiment: no part is about it.
    untested = claim.kind in _FRAMEWORK_KINDS and not probes
    return {
        "claims": [claim.id],
        "capabilities": [*subject, *([scope] if scope else []), *sorted(probes)],
        "frameworks": [claim.subject] if untested else [],
        "documents": [claim.document, claim.document.rpartition("/")[2]],
    }


def _part_names(part: Part) -> _Names:
    minimum = part.minimum
    return {
        "cells": [cell.id for cell in (*part.required, *part.beyond)],
        "frameworks": [minimum.framework, f"{minimum.framework}{minimum.framework_version}"],
        "pythons": [minimum.python, f"cp{minimum.python.replace('.', '')}"],
        "tracers": [minimum.ddtrace],
    }


def _check_globs(selection: Selection, profile: str, all_names: Sequence[_Names]) -> None:
    """Raise NothingSelectedError for a glob that matches nothing in the plan."""
    for field, option in _OPTIONS.items():
        for pattern in getattr(selection, field):
            names = dict.fromkeys(name for item in all_names for name in item.get(field, ()))
            if matches(pattern, names):
                continue
            hint = did_you_mean(pattern.replace("*", ""), names) or did_you_mean(pattern, names)
            raise NothingSelectedError(
                f"{option} {pattern!r} matches nothing in the {profile!r} plan{hint}",
                "List the plan with: python -m matrix plan",
            )
