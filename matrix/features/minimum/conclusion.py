"""Compare the result of a search with the documented minimums. Pure."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable

from packaging.version import Version

from matrix.errors import ExitCode
from matrix.features.minimum.observations import ReleaseSearchResult, ReleaseState
from matrix.features.minimum.run import SearchResult
from matrix.features.minimum.search_plan import DocumentedMinimum, SearchPlan


class Agreement(str, enum.Enum):
    """The observed minimum compared with a documented one. LATER refutes the document."""

    SAME = "same"
    EARLIER = "earlier"
    LATER = "later"
    OPEN = "open"


@dataclasses.dataclass(frozen=True)
class Conclusion:
    """The answer for one promise; `detail` is a clause that explains it."""

    promise: DocumentedMinimum
    agreement: Agreement
    detail: str


def conclude(
    plan: SearchPlan, result: ReleaseSearchResult, promise: DocumentedMinimum
) -> Conclusion:
    """Return whether a promise `from this release on` holds at its beginning.

    It is refuted only where the first release that can tell, from the documented one on, fails, and
    a later one works in the same environment.
    """
    minimum, observed = promise.minimum, result.observed
    documented = Version(minimum)
    since = [tested for tested in result.tried if Version(tested.release) >= documented]
    answered = [item for item in since if item.reply.answer is not ReleaseState.CANNOT_TELL]
    works = [item.release for item in answered if item.reply.answer is ReleaseState.WORKS]
    if observed is None:
        answer = Agreement.OPEN, "none of the tested releases works"
    elif answered and answered[0].reply.answer is ReleaseState.FAILS:
        first = answered[0].release
        answer = Agreement.OPEN, f"{first} fails, and no later tested release works"
        if works:
            answer = Agreement.LATER, f"{first} fails, and {works[0]} works"
    elif since and not answered:
        # An earlier release that works says nothing about those that are promised.
        answer = Agreement.OPEN, f"{observed} works, and none from {minimum} on can tell"
    elif Version(observed) < documented:
        answer = Agreement.EARLIER, f"{observed} works already"
    elif observed == minimum and result.exact:
        answer = Agreement.SAME, "the release before fails, or there is none"
    elif observed == minimum:
        answer = Agreement.SAME, "it works; the release before cannot tell"
    else:
        answer = _compare_untested(plan, minimum, observed)
    return Conclusion(promise, *answer)


def conclusions_of(search: SearchResult, channel: str) -> list[Conclusion]:
    """Return the answers of a channel for all promises, none where no promise is about it."""
    plan, result = search.plan, search.results[channel]
    promises = () if channel in plan.unpromised else plan.promises
    return [conclude(plan, result, promise) for promise in promises]


def exit_code_of(searches: Iterable[SearchResult]) -> ExitCode:
    """Return the exit code of the searches: the worst answer of any channel."""
    code = ExitCode.OK
    for search in searches:
        if search.interrupted:
            return ExitCode.INTERRUPTED
        if search.lost:
            return ExitCode.ENGINE_UNAVAILABLE
        for channel, result in search.results.items():
            agreements = {item.agreement for item in conclusions_of(search, channel)}
            if Agreement.LATER in agreements:
                code = ExitCode.REFUTED
            elif (Agreement.OPEN in agreements or result.observed is None) and not code:
                code = ExitCode.UNVERIFIED
    return code


def _compare_untested(plan: SearchPlan, minimum: str, observed: str) -> tuple[Agreement, str]:
    """Return the answer where the documented release has none, and only later ones do."""
    if minimum in plan.cells:
        return Agreement.OPEN, f"{minimum} cannot tell"
    between = [x for x in plan.cells if Version(minimum) < Version(x) < Version(observed)]
    if minimum in plan.deselected or between:
        return Agreement.OPEN, f"{minimum} was not tested"
    return Agreement.SAME, f"{observed} is the first of them that can be installed here"
