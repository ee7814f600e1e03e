"""A decision for whoever has to act on it: what failed, where it stands, what to do. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from matrix.model.claim import Claim
from matrix.qualifying.gate import Decision, Fate, Judged, Shortfall
from matrix.qualifying.policy import Policy
from matrix.reporting.reasons import load_reasons
from matrix.reporting.telling import plain
from matrix.reporting.words import many, promise, shorten

__all__ = ["Commands", "head", "tell"]

_MOST = 3
_EVIDENCE = 400
_REMEDIES = {
    "absent": "it was not run: {run}",
    "stale": "run it again: {run}",
    "too few": "run it as often as the policy asks: {run}",
    "no control": "run it again, with what it is compared with: {run}",
    "another artifact": "run the cell with the release's own file: {run}",
    "another document": "run it of the page as it is now: {run}",
    "refuted": "repeat it: {repeat}",
}


@dataclasses.dataclass(frozen=True)
class Commands:
    """`run` is the command that runs what is missing; `repeat` repeats a cell in place of CELL."""

    run: str
    repeat: str

    def remedy(self, shortfall: Shortfall) -> str:
        """Return what to do about a shortfall."""
        repeat = self.repeat.replace("CELL", shortfall.cell or "CELL")
        if shortfall.reason is not None:
            remedy = load_reasons()[shortfall.reason].remedy_for(shortfall.cell)
            return f"{remedy} Repeat it: {repeat}" if shortfall.cell else remedy
        told = _REMEDIES.get(shortfall.what)
        if told is None:
            return f"repeat it: {repeat}" if shortfall.cell else self.run
        return told.format(run=self.run, repeat=repeat)


def head(decision: Decision, ddtrace: str) -> str:
    """Return the answer in a line."""
    counts = ", ".join(f"{len(decision.of(fate))} {fate.value}" for fate in Fate)
    verdict = "qualifies" if decision.passed else "does not qualify"
    nothing = "" if decision.of(Fate.PASSED) else "; where nothing passes nothing qualifies"
    required = many(len(decision.judged), "required claim")
    return f"ddtrace {ddtrace} {verdict}: {counts} of {required}{nothing}"


def tell(
    decision: Decision, claims: dict[str, Claim], policy: Policy, commands: Commands
) -> Iterator[str]:
    """Yield the lines of the whole result; `claims` are those that are required, by id."""
    failed, waived = decision.of(Fate.FAILED), decision.of(Fate.WAIVED)
    if failed:
        yield "failed"
        for each in failed:
            yield from _judged(each, claims, commands)
        yield ""
    if waived:
        yield "waived"
        for each in waived:
            yield from _waived(each, claims)
        yield ""
    for waiver in decision.idle:
        yield f"an idle waiver, which can go: {', '.join(waiver.claims)} (by {waiver.by})"
    counts = _by_what(failed)
    if counts:
        words = ", ".join(f"{what} {count}" for what, count in counts.items())
        yield f"fell short   {words}"
    targets = ", ".join(policy.targets) or "all that are promised"
    age, repeats = many(policy.max_age.days, "day"), many(policy.repeats, "repeat")
    yield f"asked for    targets {targets}; evidence of at most {age}; {repeats}"


def _judged(each: Judged, claims: dict[str, Claim], commands: Commands) -> Iterator[str]:
    yield f"- {_where(each)}: {_promise(each, claims)}"
    yield f"  {each.claim.id}"
    for shortfall in each.shortfalls[:_MOST]:
        yield f"  {_said(shortfall)}"
        yield f"    {commands.remedy(shortfall)}"
    if len(each.shortfalls) > _MOST:
        yield f"  and {len(each.shortfalls) - _MOST} more like these"


def _waived(each: Judged, claims: dict[str, Claim]) -> Iterator[str]:
    assert each.waiver is not None  # noqa: S101 - that is what makes it waived
    yield f"- {_where(each)}: {_promise(each, claims)}"
    yield f"  by {each.waiver.by} until {each.waiver.until}: {each.waiver.why}"
    for shortfall in each.shortfalls[:_MOST]:
        yield f"  {_said(shortfall)}"


def _where(each: Judged) -> str:
    return f"{each.claim.document}:{each.claim.line}"


def _promise(each: Judged, claims: dict[str, Claim]) -> str:
    claim = claims.get(each.claim.id)
    return promise(claim) if claim else each.claim.id


def _said(shortfall: Shortfall) -> str:
    where = f" in {shortfall.cell}" if shortfall.cell else ""
    return f"{shortfall.what}{where}: {shorten(plain(shortfall.detail), _EVIDENCE)}"


def _by_what(judged: Iterable[Judged]) -> Mapping[str, int]:
    """Return how many claims fall short in which way, the most frequent first."""
    counts: dict[str, int] = {}
    for each in judged:
        for what in dict.fromkeys(one.what for one in each.shortfalls):
            counts[what] = counts.get(what, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))
