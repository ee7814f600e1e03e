"""A part of a plan: what some claims, frameworks, runtimes or releases need, and nothing else."""

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

__all__ = ["Selection", "select"]

_ABOUT_CAPABILITIES = (ClaimKind.CAPABILITY, ClaimKind.DEPLOYMENT)
_ABOUT_FRAMEWORKS = (ClaimKind.FRAMEWORK, ClaimKind.INTEGRATION, ClaimKind.AUTHENTICATION)


@dataclasses.dataclass(frozen=True)
class Selection:
    """Globs by what they are matched against; one of each kind that is given must match.

    `cells` match a part's cell at the minimum, at the release before or its first control;
    `tracers` match the minimum's ddtrace only, `frameworks` a name or `django1.8`, `pythons`
    `3.9` or `cp39`. A part that is selected brings all the cells that it is judged by.
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
    """Return what is selected of the plan, and what of its claims is not.

    Raises `NothingSelectedError`, with the nearest word there is, for a glob that matches nothing
    and for globs that match nothing together.
    """
    if not selection:
        return plan
    known = {planned.cell: planned for planned in (*plan.cells, *plan.fallbacks)}
    words = _Words(plan)
    for option, patterns, of_claim, of_part in words.axes(selection):
        _check(option, patterns, plan, of_claim, of_part)
    claims = [claim for claim in plan.claims if words.claim_wanted(claim, selection)]
    wanted = {claim.id for claim in claims}
    parts = [
        part for part in plan.parts if part.claim in wanted and words.part_wanted(part, selection)
    ]
    if selection.cells or selection.frameworks or selection.pythons or selection.tracers:
        having = {part.claim for part in parts}
        claims = [
            claim for claim in claims if claim.id in having or words.only_left_out(claim, selection)
        ]
        wanted = {claim.id for claim in claims}
    if not claims:
        raise NothingSelectedError(
            "no claim matches all that was asked for",
            "Each of the selectors matches something, but not together; leave one out.",
        )
    dates = {cell: planned.as_of for cell, planned in known.items()}
    kept = {(part.claim, part.minimum) for part in parts}
    missing = (
        Omission(part.claim, part.minimum.id, Reason.NOT_SELECTED, cell=part.minimum)
        for part in plan.parts
        if part.claim in wanted and (part.claim, part.minimum) not in kept
    )
    # As the whole plan runs them: what a soak shows of a cell is true whoever asks.
    cells, fallbacks = (
        tuple(dataclasses.replace(each, soak=known[each.cell].soak) for each in some)
        for some in plan_cells(parts, dates, load_coverage().soaked)
    )
    return dataclasses.replace(
        plan,
        claims=tuple(claims),
        parts=tuple(parts),
        cells=cells,
        fallbacks=fallbacks,
        omissions=(
            *(item for item in plan.omissions if item.claim in wanted),
            *dict.fromkeys(missing),
        ),
    )


class _Words:
    """What globs are matched against."""

    def __init__(self, plan: Plan) -> None:
        self.probes: dict[str, set[str]] = {}
        for part in plan.parts:
            self.probes.setdefault(part.claim, set()).add(part.probe)

    def claim_id(self, claim: Claim) -> list[str]:
        return [claim.id]

    def document(self, claim: Claim) -> list[str]:
        return [claim.document, claim.document.rpartition("/")[2]]

    def capability(self, claim: Claim) -> list[str]:
        own = [claim.subject] if claim.kind in _ABOUT_CAPABILITIES else []
        scoped = claim.get("capability")
        return [*own, *([scoped] if scoped else []), *sorted(self.probes.get(claim.id, ()))]

    def subject(self, claim: Claim) -> list[str]:
        """Return a framework that no part is about: there is a claim, and no experiment."""
        about = claim.kind in _ABOUT_FRAMEWORKS and claim.id not in self.probes
        return [claim.subject] if about else []

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

    def axes(self, selection: Selection) -> Iterable[_Axis]:
        """Return each option with its globs and the words of a claim and of a part for it."""
        return (
            ("--cell", selection.cells, _nothing, self.cell),
            ("--claim", selection.claims, self.claim_id, _nothing),
            ("--capability", selection.capabilities, self.capability, _nothing),
            ("--framework", selection.frameworks, self.subject, self.framework),
            ("--python", selection.pythons, _nothing, self.python),
            ("--ddtrace", selection.tracers, _nothing, self.tracer),
            ("--document", selection.documents, self.document, _nothing),
        )

    def claim_wanted(self, claim: Claim, selection: Selection) -> bool:
        return (
            _any(selection.claims, self.claim_id(claim))
            and _any(selection.capabilities, self.capability(claim))
            and _any(selection.documents, self.document(claim))
        )

    def part_wanted(self, part: Part, selection: Selection) -> bool:
        return (
            _any(selection.cells, self.cell(part))
            and _any(selection.frameworks, self.framework(part))
            and _any(selection.pythons, self.python(part))
            and _any(selection.tracers, self.tracer(part))
        )

    def only_left_out(self, claim: Claim, selection: Selection) -> bool:
        others = selection.cells or selection.pythons or selection.tracers
        return not others and _any(selection.frameworks, self.subject(claim))


_Axis = tuple[
    str, tuple[str, ...], Callable[[Claim], Sequence[str]], Callable[[Part], Sequence[str]]
]


def _nothing(_: object) -> list[str]:
    return []


def _any(patterns: Sequence[str], words: Sequence[str]) -> bool:
    return not patterns or any(matches(pattern, words) for pattern in patterns)


def _check(
    option: str,
    patterns: Sequence[str],
    plan: Plan,
    of_claim: Callable[[Claim], Sequence[str]],
    of_part: Callable[[Part], Sequence[str]],
) -> None:
    if not patterns:
        return
    words = dict.fromkeys(word for claim in plan.claims for word in of_claim(claim))
    words |= dict.fromkeys(word for part in plan.parts for word in of_part(part))
    for pattern in patterns:
        if matches(pattern, words):
            continue
        hint = did_you_mean(pattern.replace("*", ""), words) or did_you_mean(pattern, words)
        raise NothingSelectedError(
            f"{option} {pattern!r} matches nothing in the {plan.profile!r} plan{hint}",
            "List the plan with: python -m matrix plan",
        )
