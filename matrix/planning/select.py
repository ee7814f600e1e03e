"""Select a part of a plan: what some claims, frameworks, runtimes or releases need."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from matrix.errors import NothingSelectedError, did_you_mean
from matrix.model.claim import Claim, ClaimKind
from matrix.model.plan import Omission, Part, Plan
from matrix.model.reason import Reason
from matrix.model.selectors import matches
from matrix.planning.cell_set import plan_cells
from matrix.planning.coverage import load_coverage

_CAPABILITY_KINDS = (ClaimKind.CAPABILITY, ClaimKind.DEPLOYMENT)
_FRAMEWORK_KINDS = (ClaimKind.FRAMEWORK, ClaimKind.INTEGRATION, ClaimKind.AUTHENTICATION)


@dataclasses.dataclass(frozen=True)
class Selection:
    """Globs by what they are matched against; one glob of each kind that is given must match.

    `cells` match a part's cell at the minimum, at the release before or its first control;
    `tracers` match the minimum's ddtrace only, `frameworks` a name or `django1.8`, `pythons`
    `3.9` or `cp39`. A selected part brings all the cells that it is judged by.
    """

    cells: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    frameworks: tuple[str, ...] = ()
    pythons: tuple[str, ...] = ()
    tracers: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in dataclasses.fields(self))


def select(plan: Plan, selection: Selection) -> Plan:
    """Return the selected part of the plan, with omissions for what its claims miss.

    Raises `NothingSelectedError`, with the nearest name, for a glob that matches nothing, and for
    globs that match nothing together.
    """
    if not selection:
        return plan
    names = _SelectableNames(plan)
    for option, patterns, claim_names, part_names in names.options(selection):
        _check_option(option, patterns, plan, claim_names, part_names)
    claims = [claim for claim in plan.claims if names.selects_claim(claim, selection)]
    selected = {claim.id for claim in claims}
    parts = [
        part
        for part in plan.parts
        if part.claim in selected and names.selects_part(part, selection)
    ]
    if selection.cells or selection.frameworks or selection.pythons or selection.tracers:
        with_parts = {part.claim for part in parts}
        claims = [
            claim
            for claim in claims
            if claim.id in with_parts or names.selects_untested(claim, selection)
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


class _SelectableNames:
    """The names of claims and parts that globs are matched against."""

    def __init__(self, plan: Plan) -> None:
        self.probes: dict[str, set[str]] = {}
        for part in plan.parts:
            self.probes.setdefault(part.claim, set()).add(part.probe)

    def claim_id(self, claim: Claim) -> list[str]:
        return [claim.id]

    def document(self, claim: Claim) -> list[str]:
        return [claim.document, claim.document.rpartition("/")[2]]

    def capability(self, claim: Claim) -> list[str]:
        subject = [claim.subject] if claim.kind in _CAPABILITY_KINDS else []
        scope = claim.get("capability")
        return [*subject, *([scope] if scope else []), *sorted(self.probes.get(claim.id, ()))]

    def untested_framework(self, claim: Claim) -> list[str]:
        """Return the framework of a claim that no part is about: it has no experiment."""
        untested = claim.kind in _FRAMEWORK_KINDS and claim.id not in self.probes
        return [claim.subject] if untested else []

    def cell(self, part: Part) -> list[str]:
        return [cell.id for cell in part.required]

    def framework(self, part: Part) -> list[str]:
        cell = part.minimum
        return [cell.framework, f"{cell.framework}{cell.framework_version}"]

    def python(self, part: Part) -> list[str]:
        python = part.minimum.python
        return [python, f"cp{python.replace('.', '')}"]

    def tracer(self, part: Part) -> list[str]:
        return [part.minimum.ddtrace]

    def options(self, selection: Selection) -> Iterable[_Option]:
        """Return each option with its globs, and the names of a claim and of a part for it."""
        return (
            ("--cell", selection.cells, _no_names, self.cell),
            ("--claim", selection.claims, self.claim_id, _no_names),
            ("--capability", selection.capabilities, self.capability, _no_names),
            ("--framework", selection.frameworks, self.untested_framework, self.framework),
            ("--python", selection.pythons, _no_names, self.python),
            ("--ddtrace", selection.tracers, _no_names, self.tracer),
            ("--document", selection.documents, self.document, _no_names),
        )

    def selects_claim(self, claim: Claim, selection: Selection) -> bool:
        return (
            _matches_any(selection.claims, self.claim_id(claim))
            and _matches_any(selection.capabilities, self.capability(claim))
            and _matches_any(selection.documents, self.document(claim))
        )

    def selects_part(self, part: Part, selection: Selection) -> bool:
        return (
            _matches_any(selection.cells, self.cell(part))
            and _matches_any(selection.frameworks, self.framework(part))
            and _matches_any(selection.pythons, self.python(part))
            and _matches_any(selection.tracers, self.tracer(part))
        )

    def selects_untested(self, claim: Claim, selection: Selection) -> bool:
        by_part = selection.cells or selection.pythons or selection.tracers
        return not by_part and _matches_any(selection.frameworks, self.untested_framework(claim))


_Option = tuple[
    str, tuple[str, ...], Callable[[Claim], Sequence[str]], Callable[[Part], Sequence[str]]
]


def _no_names(_: object) -> list[str]:
    return []


def _matches_any(patterns: Sequence[str], names: Sequence[str]) -> bool:
    return not patterns or any(matches(pattern, names) for pattern in patterns)


def _check_option(
    option: str,
    patterns: Sequence[str],
    plan: Plan,
    claim_names: Callable[[Claim], Sequence[str]],
    part_names: Callable[[Part], Sequence[str]],
) -> None:
    """Raise NothingSelectedError for a glob that matches nothing in the plan."""
    if not patterns:
        return
    names = dict.fromkeys(name for claim in plan.claims for name in claim_names(claim))
    names |= dict.fromkeys(name for part in plan.parts for name in part_names(part))
    for pattern in patterns:
        if matches(pattern, names):
            continue
        hint = did_you_mean(pattern.replace("*", ""), names) or did_you_mean(pattern, names)
        raise NothingSelectedError(
            f"{option} {pattern!r} matches nothing in the {plan.profile!r} plan{hint}",
            "List the plan with: python -m matrix plan",
        )
